"""The page that holds two runs against each other."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils.formats import date_format

from django_sessrec.measuring.days import today
from django_sessrec.models import AuditEntry, Promotion
from django_sessrec.training.pipeline import train
from tests.support.admin import a_run, page
from tests.support.axe import violations
from tests.support.browser import needs_chromium
from tests.support.visits import store_visits, synthetic_visits

pytestmark = pytest.mark.django_db
PAGE = "admin:sessrec_compare"


@pytest.fixture
def runs(sessrec):
    store_visits(synthetic_visits())
    return [train(model, trigger="schedule") for model in ("neighbours", "popularity", "neighbours")]


def test_without_two_runs_it_says_so(admin_client, sessrec):
    a_run()  # without an artifact
    html = page(admin_client, reverse(PAGE))
    assert "Two published runs are needed" in html
    assert "errornote" not in html, "there is nothing to fill in"


def test_the_form_suggests_what_serves(admin_client, runs):
    form = admin_client.get(reverse(PAGE)).context["form"]
    assert form["one"].value() == str(runs[0].pk), "the newest run that does not serve"
    assert form["other"].value() == str(runs[2].pk), "and the run of its model that serves"


def test_the_verdict_stands_first_and_each_group_has_its_row(admin_client, runs):
    html = page(admin_client, f"{reverse(PAGE)}?one={runs[0].pk}&other={runs[1].pk}")
    assert f"more than {runs[1]}" in html
    for words in ("All clicks", "New products, by clicks made before", "New products, by number of intents"):
        assert words in html
    assert html.count('class="sessrec-interval"') > 4


def test_a_chosen_day_is_replayed_and_its_limit_is_said(admin_client, runs):
    address = f"{reverse(PAGE)}?one={runs[0].pk}&other={runs[1].pk}"
    day = today() - timedelta(days=3)
    answer = admin_client.get(f"{address}&day={day}")
    made = answer.context["replayed"]
    html = answer.content.decode()
    assert f"What would have changed on {date_format(day)}" in html
    assert f"{made.replayed} of {made.stored} sessions were replayed, drawn at random" in html
    assert answer.context["form"]["day"].value() == str(day)
    assert "No session of this day is stored" in page(admin_client, f"{address}&day=2020-01-01")
    assert "Enter a valid date" in page(admin_client, f"{address}&day=x")
    yesterday = page(admin_client, f"{address}&day=")
    assert f"What would have changed on {date_format(today() - timedelta(days=1))}" in yesterday


def test_models_of_baskets_are_held_against_each_other_in_words_of_baskets(admin_client, sessrec):
    sessrec["MODELS"] = {
        "together": {"ESTIMATOR": "django_sessrec.recsys.BoughtTogether", "MIN_SESSIONS": 10}
    }
    for name in ("view_item", "add_to_cart"):
        store_visits(synthetic_visits(), name=name)
    runs = [train("together", trigger="schedule") for _number in range(2)]
    assert [run.state for run in runs] == ["published"] * 2, [run.verdict for run in runs]
    html = page(admin_client, f"{reverse(PAGE)}?one={runs[0].pk}&other={runs[1].pk}")
    assert "find exactly the same of" in html
    assert "products put into baskets" in html
    assert "By products in the basket before" in html
    assert "click" not in re.sub("(?s)<script.*?</script>|<[^>]*>", "", html.partition("sessrec-verdict")[2])
    html = page(admin_client, reverse("admin:sessrec_trainingrun_change", args=[runs[0].pk]))
    assert "Products predicted in the test" in html
    figures = html.partition('id="sessrec-figures"')[2].partition('id="sessrec-parameters"')[0]
    assert "click" not in figures.lower()


def test_the_reason_on_the_page_promotes_at_once(admin_client, runs):
    html = page(admin_client, f"{reverse(PAGE)}?one={runs[0].pk}&other={runs[2].pk}")
    address = reverse("admin:sessrec_promote", args=[runs[0].pk])
    assert f'action="{address}"' in html
    admin_client.post(address, {"reason": "it finds more new products", "confirmed": "1"})
    assert Promotion.objects.active("neighbours") == runs[0]
    assert AuditEntry.objects.get().reason == "it finds more new products"
    assert f'action="{address}"' not in page(
        admin_client, f"{reverse(PAGE)}?one={runs[0].pk}&other={runs[2].pk}"
    )


@pytest.mark.parametrize("query", ["?one=x&other=y", "?one=999999&other=1", "?one=&other=", "?one=1"])
def test_a_run_that_is_not_there_is_refused(admin_client, runs, query):
    html = page(admin_client, reverse(PAGE) + query)
    assert "sessrec-verdict" not in html


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "x"])
def test_a_day_that_no_shop_has_is_refused(admin_client, runs, day):
    html = page(admin_client, f"{reverse(PAGE)}?one={runs[0].pk}&other={runs[1].pk}&day={day}")
    assert "sessrec-error" in html or "errorlist" in html or "errornote" in html


def test_a_run_is_not_compared_with_itself(admin_client, runs):
    assert "Choose two different runs" in page(
        admin_client, f"{reverse(PAGE)}?one={runs[0].pk}&other={runs[0].pk}"
    )


def test_only_who_may_see_runs_compares_them(client, django_user_model, runs):
    client.force_login(django_user_model.objects.create_user("packer", is_staff=True))
    assert client.get(reverse(PAGE)).status_code == 403


@pytest.mark.e2e
@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_it_breaks_no_rule_of_accessibility(tab, runs):
    tab.goto(f"{reverse(PAGE)}?one={runs[0].pk}&other={runs[1].pk}")
    assert violations(tab) == []
