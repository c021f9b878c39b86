"""Train now, promote and roll back: what a person may change, and what happens then."""

import re

import pytest
from celery import Celery, current_app
from django.contrib.auth.models import Permission
from django.urls import reverse
from kombu import Connection

from django_sessrec.conf import sessrec_settings
from django_sessrec.models import AuditEntry, Experiment, Heartbeat, Promotion
from django_sessrec.serving.rule_sets import draft_of
from django_sessrec.training.pipeline import train
from tests.support.admin import a_run, page
from tests.support.visits import store_visits, synthetic_visits

pytestmark = pytest.mark.django_db

YES = {"confirmed": "1", "reason": "it is better"}
RUNS = "admin:sessrec_trainingrun_changelist"


@pytest.fixture
def two_runs(sessrec):
    """Two published runs of the same model; the second serves."""
    store_visits(synthetic_visits())
    return [train("neighbours", trigger="schedule") for _number in range(2)]


@pytest.fixture
def clerk(client, django_user_model):
    """Signed in with the rights to view, not to change."""
    user = django_user_model.objects.create_user("clerk", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_trainingrun"))
    client.force_login(user)
    return client


@pytest.fixture
def celery_on():
    """Make an app on this broker the current one, until the test ends."""
    before = current_app._get_current_object()
    yield lambda url: Celery("shop", broker=url, set_as_current=True)
    before.set_current()


def serving():
    return Promotion.objects.active("neighbours")


def said(answer):
    return " ".join(str(message) for message in answer.context["messages"])


def test_roll_back_and_promote(admin_client, two_runs):
    first, second = two_runs
    assert serving() == second
    url = reverse("admin:sessrec_roll_back", args=["neighbours"])
    asked = admin_client.post(url).content.decode()
    assert f"Roll back to {first}" in asked
    assert serving() == second, "nothing changes before the answer"
    answer = admin_client.post(url, YES, follow=True)
    assert f"{first} serves now" in said(answer)
    assert serving() == first
    promote = reverse("admin:sessrec_promote", args=[second.pk])
    assert (
        f"{first} serves now. After the promotion {second} serves"
        in admin_client.post(promote).content.decode()
    )
    assert serving() == first
    answer = admin_client.post(promote, YES, follow=True)
    assert f"{second} serves now" in said(answer)
    assert serving() == second
    trail = Promotion.objects.order_by("pk").values_list("promoted_by", "reason")
    assert list(trail)[2:] == [
        ("admin", f"rolled back from {second}: it is better"),
        ("admin", "it is better"),
    ]
    noted = AuditEntry.objects.order_by("pk").values_list("action", "done_by", "reason", "detail__run")
    assert list(noted) == [
        ("roll_back", "admin", "it is better", str(first)),
        ("promote", "admin", "it is better", str(second)),
    ]


def test_a_second_click_goes_back_no_further_and_promotes_nothing_again(admin_client, two_runs):
    first, second = two_runs
    third = train("neighbours", trigger="schedule")
    Promotion.objects.create(model="neighbours", run=third, promoted_by="ada")
    url = reverse("admin:sessrec_roll_back", args=["neighbours"])
    asked = YES | {"about": admin_client.post(url).context["question"].about}
    admin_client.post(url, asked)
    again = admin_client.post(url, asked)
    assert "has changed since you were asked" in again.content.decode()
    assert f"Roll back to {first}" in again.content.decode(), "it asks about what it would do now"
    assert serving() == second
    answer = admin_client.post(reverse("admin:sessrec_promote", args=[second.pk]), YES, follow=True)
    assert f"{second} serves already" in said(answer)
    assert AuditEntry.objects.count() == 1


def test_a_promotion_asked_about_before_another_is_asked_again(admin_client, two_runs):
    first, _second = two_runs
    third = a_run()
    url = reverse("admin:sessrec_promote", args=[third.pk])
    asked = YES | {"about": admin_client.post(url).context["question"].about}
    Promotion.objects.create(model="neighbours", run=first, promoted_by="ada")
    again = admin_client.post(url, asked).content.decode()
    assert "has changed since you were asked" in again
    assert f"{first} serves now" in again
    assert Promotion.objects.active("neighbours") == first


def test_a_question_says_where_on_the_site_it_is_asked(admin_client, sessrec):
    sessrec["PLACEMENTS"] = {"product_page": {}}
    run, experiment = a_run(), Experiment.objects.create(name="Longer lists", placement="product_page")
    draft_of("product_page", "ada")
    asked = {
        ("train", "neighbours"): [("trainingrun_changelist", "Models")],
        ("promote", run.pk): [
            ("trainingrun_changelist", "Models"),
            ("trainingrun_change", str(run)),
        ],
        ("experiment_discard", experiment.pk): [
            ("experiment_changelist", "Experiments"),
            ("experiment_change", "Longer lists"),
        ],
        ("placement_discard", "product_page"): [
            ("ruleset_changelist", "Placements"),
            ("placement_page", "Product page"),
        ],
    }
    for (act, about), trail in asked.items():
        html = admin_client.post(reverse(f"admin:sessrec_{act}", args=[about])).content.decode()
        crumbs = html.partition('class="breadcrumbs"')[2].partition("</div>")[0]
        (_list, _name), *page = trail
        expected = [(reverse(f"admin:sessrec_{_list}"), _name)]
        expected += [(reverse(f"admin:sessrec_{view}", args=[about]), name) for view, name in page]
        assert re.findall(r'<a href="([^"]+)">([^<]+)</a>', crumbs)[2:] == expected


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_without_a_reason_nothing_changes(admin_client, two_runs, reason):
    url = reverse("admin:sessrec_roll_back", args=["neighbours"])
    answer = admin_client.post(url, {"confirmed": "1", "reason": reason})
    assert "sessrec-error" in answer.content.decode()
    assert serving() == two_runs[1]
    assert not AuditEntry.objects.exists()


def test_the_buttons_are_where_they_can_be_used(admin_client, two_runs):
    first, second = two_runs
    promote, roll_back = "sessrec/trainingrun/{}/promote/", "roll-back/neighbours/"
    idle = page(admin_client, reverse("admin:sessrec_trainingrun_change", args=[first.pk]))
    assert promote.format(first.pk) in idle
    assert roll_back not in idle
    serves = page(admin_client, reverse("admin:sessrec_trainingrun_change", args=[second.pk]))
    assert promote.format(second.pk) not in serves
    assert roll_back in serves
    assert roll_back in page(admin_client, reverse(RUNS))


def test_nobody_is_called_by_a_word_of_the_code(admin_client, two_runs, settings):
    settings.LANGUAGE_CODE = "de"
    Promotion.objects.create(model="popularity", run=two_runs[0], promoted_by="command")
    runs, run = (
        page(admin_client, reverse(RUNS)),
        reverse("admin:sessrec_trainingrun_change", args=[two_runs[0].pk]),
    )
    assert "von dem Zeitplan" in runs
    assert "<dd>dem Zeitplan</dd>" in page(admin_client, run)
    assert "einem Befehl" in page(admin_client, run)


def test_the_audit_trail_shows_letters_of_every_language(admin_client):
    AuditEntry.objects.note(AuditEntry.Action.RULES, "ada", attribute="brand", values=["Müller & Söhne"])
    html = page(admin_client, reverse("admin:sessrec_auditentry_changelist"))
    assert "Müller &amp; Söhne" in html


@pytest.mark.parametrize("model", ["promotion", "auditentry"])
def test_neither_is_anybody_in_the_lists_of_what_was_done(admin_client, settings, model):
    settings.LANGUAGE_CODE = "fr"
    promotion = Promotion.objects.create(model="neighbours", run=a_run(), promoted_by="schedule")
    entry = AuditEntry.objects.note(AuditEntry.Action.EXPORT, "command", files=2)
    row, words = {"promotion": (promotion, "la planification"), "auditentry": (entry, "une commande")}[model]
    for html in (
        page(admin_client, reverse(f"admin:sessrec_{model}_changelist")),
        page(admin_client, reverse(f"admin:sessrec_{model}_change", args=[row.pk])),
    ):
        assert words in html
        assert not re.search(r">(schedule|command)<", html)


def test_a_first_run_has_nothing_to_go_back_to(admin_client):
    run = a_run()
    Promotion.objects.create(model="neighbours", run=run, promoted_by="schedule")
    for url in (reverse("admin:sessrec_trainingrun_change", args=[run.pk]), reverse(RUNS)):
        assert "roll-back/neighbours/" not in page(admin_client, url)


def test_a_model_that_does_not_serve_says_who_answers(admin_client, sessrec):
    sessrec["PLACEMENTS"] = {"home": {"MODELS": ["popularity", "neighbours"]}}
    html = page(admin_client, reverse(RUNS))
    assert html.count("the other steps of its placements") == 2
    Promotion.objects.create(model="neighbours", run=a_run(), promoted_by="schedule")
    html = page(admin_client, reverse(RUNS))
    assert "Nothing serves yet: neighbours answers in its place." in html
    assert "the other steps of its placements" not in html
    sessrec["PLACEMENTS"] = {"home": {"MODELS": ["neighbours", "popularity"]}}
    assert "Nothing serves yet: neighbours answers in its place." in page(admin_client, reverse(RUNS))


def test_a_model_that_no_placement_uses_is_told(admin_client, sessrec):
    variants = {"a": {"SHARE": 1}, "b": {"SHARE": 1, "MODELS": ["tried"]}}
    home = {"MODELS": ["popularity"], "EXPERIMENT": {"NAME": "x", "VARIANTS": variants}}
    estimator = {"ESTIMATOR": "django_sessrec.recsys.Popularity"}
    sessrec["MODELS"] = dict.fromkeys(("popularity", "tried", "idle", "itemknn"), estimator)
    sessrec["PLACEMENTS"] = {"home": home}
    html = page(admin_client, reverse(RUNS))
    assert html.count("no placement uses this model") == 1
    assert html.count("the other steps of its placements") == 3


def test_what_cannot_serve_is_refused_with_its_reason(admin_client):
    run = a_run(state="refused")
    answer = admin_client.post(reverse("admin:sessrec_promote", args=[run.pk]), YES, follow=True)
    assert "only a published run can be promoted" in said(answer)
    answer = admin_client.post(reverse("admin:sessrec_roll_back", args=["neighbours"]), follow=True)
    assert "No run of neighbours served before" in said(answer)
    assert serving() is None
    assert not AuditEntry.objects.exists()


def test_train_now_queues_a_training(admin_client, celery_on, broker_url):
    celery_on(broker_url)
    url = reverse("admin:sessrec_train", args=["neighbours"])
    asked = admin_client.post(url).content.decode()
    assert "Train neighbours now?" in asked
    assert "No training worker has answered" in asked
    Heartbeat.objects.create(name="train")
    assert "No training worker has answered" not in admin_client.post(url).content.decode()
    assert "is queued" in said(admin_client.post(url, YES, follow=True))
    noted = AuditEntry.objects.get()
    assert (noted.action, noted.reason, noted.detail) == ("train", "it is better", {"model": "neighbours"})
    with Connection(broker_url) as connection, connection.SimpleQueue(sessrec_settings.TRAIN_QUEUE) as queue:
        message = queue.get(timeout=300)
        message.ack()
    assert message.headers["task"] == "django_sessrec.tasks.train"
    assert message.payload[:2] == [["neighbours"], {"trigger": "admin", "after": 0}]


def held_card(client) -> str:
    return (
        page(client, reverse(RUNS)).partition("Held: admin rolled back to this run")[2].partition("</p>")[0]
    )


def test_who_trains_a_model_that_is_held_is_told_so_and_how_to_let_go(admin_client, two_runs):
    first, second = two_runs
    url = reverse("admin:sessrec_train", args=["neighbours"])
    free = admin_client.post(url)
    assert "It serves as soon as it passes" in free.content.decode()
    assert "Held:" not in page(admin_client, reverse(RUNS))
    admin_client.post(reverse("admin:sessrec_roll_back", args=["neighbours"]), YES)
    asked = admin_client.post(url).content.decode()
    assert f"admin rolled back to {first}, which stays in service" in asked
    assert "It serves as soon as it passes" not in asked
    late = admin_client.post(url, YES | {"about": free.context["question"].about}).content.decode()
    assert "This has changed since you were asked" in late
    card = held_card(admin_client)
    assert "a newer run than any that has served; there is none yet" in card
    assert reverse("admin:sessrec_trainingrun_change", args=[second.pk]) not in card, (
        "it was rolled back from"
    )
    third = train("neighbours", trigger="admin")
    assert "Not promoted" in third.verdict
    card = held_card(admin_client)
    assert reverse("admin:sessrec_trainingrun_change", args=[third.pk]) in card
    admin_client.post(reverse("admin:sessrec_promote", args=[third.pk]), YES)
    assert "Held:" not in page(admin_client, reverse(RUNS))
    assert "It serves as soon as it passes" in admin_client.post(url).content.decode()


def test_an_answer_from_before_a_run_began_is_asked_for_again(admin_client, celery_on, broker_url):
    celery_on(broker_url)
    url = reverse("admin:sessrec_train", args=["neighbours"])
    asked = admin_client.post(url).content.decode()
    [about] = re.findall(r'name="about" value="(\d*)"', asked)
    a_run()  # a worker was quicker than the second click
    again = admin_client.post(url, YES | {"about": about})
    assert "This has changed since you were asked" in again.content.decode()
    assert not AuditEntry.objects.exists()


def test_train_now_without_a_broker_says_so(admin_client, celery_on):
    celery_on("redis+socket:///nowhere/valkey.sock")
    answer = admin_client.post(reverse("admin:sessrec_train", args=["neighbours"]), YES, follow=True)
    assert "could not be queued" in said(answer)


def test_an_unknown_model_is_not_found(admin_client):
    assert admin_client.post(reverse("admin:sessrec_train", args=["crystal-ball"])).status_code == 404


CHANGES = [("train", ["neighbours"]), ("roll_back", ["neighbours"]), ("promote", [1])]


@pytest.mark.parametrize(("name", "arguments"), CHANGES)
def test_only_who_may_change_runs(clerk, name, arguments):
    url = reverse(f"admin:sessrec_{name}", args=arguments)
    assert clerk.post(url).status_code == 403
    assert url not in page(clerk, reverse(RUNS))


@pytest.mark.parametrize(("name", "arguments"), CHANGES)
def test_a_link_changes_nothing(admin_client, name, arguments):
    assert admin_client.get(reverse(f"admin:sessrec_{name}", args=arguments)).status_code == 405
