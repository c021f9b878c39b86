"""Every page of the admin, empty and full, under a strict Content-Security-Policy."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone

import django_sessrec
from django_sessrec.admin.run_figures import learning_curves, overall_progress
from django_sessrec.capture import ledger, store
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, HostedModel, Impression, Promotion, TrainingRun
from django_sessrec.training.model_card import limits
from tests.demo.models import Product
from tests.support.admin import FIGURES, LISTS, a_run, page
from tests.support.history import happen, show
from tests.support.storages import folder_storage, share_models_through

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", LISTS)
def test_lists_without_rows(admin_client, model):
    page(admin_client, reverse(f"admin:sessrec_{model}_changelist"))


@pytest.mark.parametrize("model", LISTS)
def test_lists_with_rows(admin_client, rows, model):
    html = page(admin_client, reverse(f"admin:sessrec_{model}_changelist"))
    assert "<script>alert" not in html
    assert "<b>2</b>" not in html


@pytest.mark.parametrize("model", ["trainingrun", "promotion", "event", "impression"])
def test_each_row_has_its_page(admin_client, rows, model):
    html = page(admin_client, reverse(f"admin:sessrec_{model}_change", args=[rows[model].pk]))
    assert "<script>alert" not in html
    assert 'name="_save"' not in html
    assert "/history/" not in html, "nobody changes a row: its history is empty"


def test_every_run_has_its_page_whatever_its_state(admin_client, rows):
    for run in TrainingRun.objects.all():
        page(admin_client, reverse("admin:sessrec_trainingrun_change", args=[run.pk]))


def test_a_run_shows_its_parameters_whatever_they_are_called(admin_client):
    html = page(admin_client, reverse("admin:sessrec_trainingrun_change", args=[a_run().pk]))
    for name, value in (("k", 500), ("items", 7)):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in html


OBJECTS = {"recommendations.items", "row.items", "entry.items", "model.items"}


def test_no_template_asks_a_dict_for_its_items():
    """The key "items", where a dict has one, comes before the method; a list of pairs has no keys.

    Those of OBJECTS are no dicts: `items` is a field of theirs.
    """
    templates = Path(django_sessrec.__file__).parent.joinpath("templates").rglob("*.*")
    loops = {path.name: re.findall(r" in (\S+\.items) ", path.read_text("utf-8")) for path in templates}
    assert {name: found for name, found in loops.items() if set(found) - OBJECTS} == {}


def test_a_run_shows_its_figures_beside_the_others(admin_client):
    html = page(admin_client, reverse("admin:sessrec_trainingrun_change", args=[a_run().pk]))
    assert "In service before" in html
    assert '<td class="sessrec-number">53.10</td>' in html
    assert not {"sessrec-better", "sessrec-worse"} & set(html.split('"')), "no interval stands beside them"
    assert "<svg" in html
    for chart in re.findall(r'<figure class="sessrec-chart">.*?</figure>', html, re.DOTALL):
        assert chart.count("<title>") == chart.count('<td class="sessrec-number">') > 1


def test_a_run_says_what_it_cannot_do_and_hands_out_its_card(admin_client):
    run = a_run()
    html = page(admin_client, reverse("admin:sessrec_trainingrun_change", args=[run.pk]))
    assert "Found among 20 (HR@20), by number of intents" in html
    assert "Products new to the session found among 20 (HR@20)</th>" in html
    assert "Products new to the session found among 20 (HR@20), by number of intents" in html
    assert "29.0 % of its products appeared in no list of the test." in html
    download = reverse("admin:sessrec_card", args=[run.pk])
    assert download in html
    answer = admin_client.get(download)
    assert answer["Content-Disposition"] == f'attachment; filename="neighbours-{run.pk}.json"'
    assert answer.json()["figures"]["candidate"] == FIGURES
    assert answer.json()["limits"] == limits(run)


def test_only_who_may_see_runs_gets_their_cards(client, django_user_model):
    download = reverse("admin:sessrec_card", args=[a_run().pk])
    assert client.get(download).status_code == 302
    client.force_login(django_user_model.objects.create_user("packer", is_staff=True))
    assert client.get(download).status_code == 403


def test_a_list_of_runs_costs_the_same_for_one_and_for_twenty(admin_client, django_assert_max_num_queries):
    for _number in range(20):
        a_run()
    url = reverse("admin:sessrec_trainingrun_changelist")
    page(admin_client, url)  # after which the process knows rules and experiments
    with django_assert_max_num_queries(8):
        page(admin_client, url)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 3),
        ("?name=purchase", 1),
        (f"?day={datetime.now(UTC):%Y-%m-%d}", None),
        ("?day=2020-02-02", 0),
        ("?day=2020-02-31", 0),
        ("?day=yesterday", 0),
        ("?q=1", 3),
        ("?q=nothing", 0),
        ("?q=%00", 3),
    ],
)
def test_events_are_found_by_name_day_and_item(admin_client, rows, query, found):
    answer = admin_client.get(reverse("admin:sessrec_event_changelist") + query)
    assert answer.status_code == 200
    if found is not None:
        assert len(answer.context["cl"].result_list) == found


@pytest.mark.parametrize(("model", "found"), [("event", 1), ("impression", 1)])
def test_a_product_is_found_by_its_name(admin_client, model, found):
    now = datetime.now(UTC)
    product = Product.objects.create(name="Green tea 100 g")
    session_id = uuid7(now)
    show(session_id, now, [str(product.pk), "999"])
    show(session_id, now, ["999"])
    happen(session_id, now, "view_item", str(product.pk))
    happen(session_id, now, "view_item", "999")
    answer = admin_client.get(reverse(f"admin:sessrec_{model}_changelist"), {"q": "green TEA"})
    assert len(answer.context["cl"].result_list) == found


def test_a_catalogue_that_cannot_search_hides_no_event(admin_client, rows, settings):
    settings.SESSREC = {**settings.SESSREC, "CATALOGUE": "nowhere.Catalogue"}
    answer = admin_client.get(reverse("admin:sessrec_event_changelist"), {"q": "1"})
    assert len(answer.context["cl"].result_list) == 3


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "2026-02-30", "x"])
@pytest.mark.parametrize("model", ["event", "impression"])
def test_a_day_that_no_row_can_have_finds_none(admin_client, rows, model, day):
    html = page(admin_client, reverse(f"admin:sessrec_{model}_changelist") + f"?day={day}")
    assert "0 " in html


@pytest.mark.parametrize(
    "address",
    [
        "event_changelist?name=a%00b",
        "event_changelist?source=a%00b",
        "impression_changelist?item_ids=5",
        "failedevent_changelist?code__exact=%00",
        "auditentry_changelist?action__exact=%00",
        "promotion_changelist?model__exact=%00",
        "quarantine_changelist?reason__exact=%00",
        "inspector_changelist?item=%00",
    ],
)
def test_what_no_column_can_hold_is_a_bad_request(admin_client, rows, address):
    name, _mark, query = address.partition("?")
    page(admin_client, reverse(f"admin:sessrec_{name}") + f"?{query}", status=400)


def test_a_period_of_today_that_is_none_is_the_usual_one(admin_client, rows):
    for days in ("", "8", "²", "9" * 5000):
        page(admin_client, reverse("admin:app_list", args=["sessrec"]) + f"?days={days}")


def test_each_network_has_a_line_of_its_own():
    history = [
        {"progress": (network * 3 + step) / 6, "loss": 7 - step, "network": network + 1}
        for network in range(2)
        for step in range(3)
    ]
    (chart,) = learning_curves(TrainingRun(history=history))
    assert [(line.name, len(line.dots)) for line in chart.lines] == [("network 1", 3), ("network 2", 3)]


@pytest.mark.parametrize(
    ("stage", "progress", "refit", "overall"),
    [
        ("read", 0.0, True, 0.0),
        ("fit", 0.5, True, 0.25),
        ("evaluate", 0.5, True, 0.5),
        ("refit", 1.0, True, 0.98),
        ("fit", 1.0, False, 48 / 54),
        ("publish", 1.0, False, 1.0),
        ("of an older version", 0.4, True, 0.4),
    ],
)
def test_a_trainings_bar_runs_once_from_start_to_end(settings, stage, progress, refit, overall):
    settings.SESSREC = {**settings.SESSREC, "MODELS": {"m": {"ESTIMATOR": "x", "REFIT": refit}}}
    assert overall_progress(TrainingRun(model="m", stage=stage, progress=progress)) == pytest.approx(overall)


def test_the_list_compares_a_run_with_what_was_tested_on_its_days(admin_client):
    a_run(figures={"candidate": FIGURES, "incumbent": {**FIGURES, "hr@20": 52.0}})
    html = page(admin_client, reverse("admin:sessrec_trainingrun_changelist"))
    assert '53.10 <small class="sessrec-quiet">+1.10</small>' in html


def test_an_impression_says_what_brought_each_item(admin_client, rows):
    html = page(admin_client, reverse("admin:sessrec_impression_change", args=[rows["impression"].pk]))
    assert "<li>1 (not offered now): similar past sessions</li>" in html
    assert "<li>&lt;b&gt;2&lt;/b&gt; (not offered now): neural network</li>" in html


def test_raw_lists_name_products_in_one_query_a_page(admin_client, products, django_assert_max_num_queries):
    now = datetime.now(UTC)
    for product in products[:5]:
        session = uuid7(now)
        happen(session, now, "view_item", str(product.pk))
        show(session, now, [str(each.pk) for each in products[:3]], placement="product_page")
    for name, words in (("event", products[4].name), ("impression", "Product page")):
        with django_assert_max_num_queries(12):
            html = page(admin_client, reverse(f"admin:sessrec_{name}_changelist"))
        assert words in html
    assert products[2].name in html


def test_an_event_whose_impression_is_pruned_still_has_its_page(admin_client, rows):
    Impression.objects.all().delete()
    page(admin_client, reverse("admin:sessrec_event_change", args=[rows["event"].pk]))


def test_a_long_list_is_estimated_not_counted(admin_client, rows, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("django_sessrec.admin.base.COUNTED_EXACTLY", 0)
    answer = admin_client.get(reverse("admin:sessrec_event_changelist"))
    assert answer.status_code == 200
    assert answer.context["cl"].result_count > 0


@pytest.mark.parametrize("model", LISTS)
def test_nothing_is_added_changed_or_deleted_by_hand(admin_client, rows, model):
    assert admin_client.get(f"/admin/sessrec/{model}/add/").status_code in (403, 404)
    if model in rows:
        pk = rows[model].pk
        assert admin_client.post(f"/admin/sessrec/{model}/{pk}/change/", {}).status_code == 403
        assert admin_client.post(f"/admin/sessrec/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_admins_first_page_leads_to_the_report(admin_client):
    assert reverse("admin:sessrec_report_changelist") in page(admin_client, "/admin/")


def test_the_runs_of_one_model(admin_client):
    a_run(model="neighbours")
    a_run(model="gru4rec")
    answer = admin_client.get(reverse("admin:sessrec_trainingrun_changelist"), {"model": "gru4rec"})
    assert [run.model for run in answer.context["cl"].result_list] == ["gru4rec"]


def test_health_accounts_for_every_row_and_names_who_is_silent(admin_client, rows, settings):
    event = Event.objects.first()
    store.write([event])  # known already
    html = page(admin_client, reverse("admin:sessrec_heartbeat_changelist"))
    day = next(iter(ledger.by_day(1).values()))
    assert day.sent == day.stored + 2 == sum((day.stored, day.duplicate, day.refused))
    for words in (f">{day.sent}<", ">running<", "never seen", "code__exact=name"):
        assert words in html


def test_health_of_a_stream_that_is_away_is_a_page_all_the_same(admin_client, settings, tmp_path):
    settings.SESSREC = {**settings.SESSREC, "STREAM_URL": f"unix://{tmp_path}/nobody.sock"}
    html = page(admin_client, reverse("admin:sessrec_heartbeat_changelist"))
    assert "server does not answer: Error 2 connecting" in html
    assert "consumer was never seen." in html


def test_health_says_what_each_host_serves(admin_client, settings, tmp_path):
    share_models_through(settings, folder_storage(tmp_path))
    run, now = a_run(), timezone.now()
    row = {"model": "neighbours", "size": 2_000_000, "changed_at": now, "seen_at": now}
    HostedModel.objects.create(host="web1", run=run, **row)
    HostedModel.objects.create(host="web2", run=None, problem="the storage holds no <model>", **row)
    Promotion.objects.create(model="neighbours", run=run, promoted_by="test")
    html = page(admin_client, reverse("admin:sessrec_heartbeat_changelist"))
    assert f"<td>#{run.pk}</td>" in html
    assert "web2 has no neighbours, and can&#x27;t fetch" in html
    assert "the storage holds no &lt;model&gt;" in html


def test_only_who_may_see_heartbeats_sees_health(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("packer", is_staff=True))
    assert client.get(reverse("admin:sessrec_heartbeat_changelist")).status_code == 403
