"""Today: the money first, what needs somebody, and in a new shop the next step."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db.models import F
from django.template import Context, Template
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime

from django_sessrec import events
from django_sessrec.admin.charts import sparkline
from django_sessrec.experiment_models import Experiment
from django_sessrec.figure_models import RolledUpDay
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import last_days, today, whole_days
from django_sessrec.measuring.report import report
from django_sessrec.models import AuditEntry, Promotion, RuleSet, TrainingRun
from django_sessrec.serving.rule_sets import draft_of, publish
from tests.support.admin import a_run, page
from tests.support.axe import violations
from tests.support.browser import needs_chromium
from tests.support.history import buy, click, days_ago, earlier_today, show

pytestmark = pytest.mark.django_db
TODAY = "/admin/sessrec/"
PLOT = r'<script id="sessrec-plot-data"[^>]*>(.*?)</script>'


def bought_after_a_click(at, price, currency="EUR", *, clicked=True):
    session_id = uuid7(at)
    shown = show(session_id, at, ["1", "2"], placement="product_page")
    if clicked:
        click(session_id, at + timedelta(seconds=5), "1", shown, position=1)
    buy(session_id, at + timedelta(seconds=9), "1" if clicked else "9", price, currency=currency)


@pytest.fixture
def sales():
    """100 EUR after a click and 300 without in these days, 40 after a click before them; some dollars."""
    bought_after_a_click(days_ago(2), "100.00")
    bought_after_a_click(days_ago(2), "300.00", clicked=False)
    bought_after_a_click(days_ago(2), "7.00", "USD")
    bought_after_a_click(days_ago(9), "40.00")
    for ago in (8, 10, 11, 12, 13, 14):  # days with figures, so that the two weeks can be compared
        show(uuid7(days_ago(ago)), days_ago(ago), ["1"])
    call_command("sessrec_rollup")


def test_a_new_shop_sees_what_to_do_next(admin_client):
    html = page(admin_client, TODAY)
    assert "1 of 10 steps are done." in html
    assert "{% sessrec_recommendations" in html.replace("&#x27;", "'")
    assert "sessrec-headlines" not in html


def test_an_experiment_of_the_settings_runs_there_at_once(admin_client, sales, placement):
    """Not only after the next upkeep; under the name that the settings write."""
    placement(
        EXPERIMENT={"NAME": "=FEWERProducts", "VARIANTS": {"a": {"SHARE": 1}, "b": {"SHARE": 1, "LIMIT": 4}}}
    )
    html = page(admin_client, TODAY)
    own = reverse("admin:sessrec_experiment_change", args=[Experiment.objects.get(name="=FEWERProducts").pk])
    assert f'<a href="{own}">=FEWERProducts</a>' in html
    assert "No training run and no experiment." not in html


def test_an_experiment_of_the_settings_that_nobody_can_read_hides_no_figure(admin_client, sales, placement):
    placement(EXPERIMENT={"NAME": "fewer", "VARIANTS": {"a": {}}})
    assert "sessrec-headlines" in page(admin_client, TODAY)
    assert not Experiment.objects.exists()


def test_the_sentence_says_what_was_earned_and_how_much_of_all(admin_client, sales):
    html = page(admin_client, f"{TODAY}?days=7")
    assert "Recommendations brought 100.00 EUR (25.0\N{NO-BREAK SPACE}% of recorded sales)." in html
    assert "That is 60.00 EUR more than in the days before." in html
    assert "7.00 USD" not in html, "currencies are never added up, and the others stand in the report"


def test_a_day_that_is_not_over_is_told_apart_and_held_against_nothing(admin_client):
    """A steady shop does not seem to fall in the morning."""
    for ago in range(1, 16):
        bought_after_a_click(days_ago(ago), "10.00")
    bought_after_a_click(earlier_today(timedelta(minutes=1)), "3.00", clicked=False)
    call_command("sessrec_rollup")
    html = page(admin_client, f"{TODAY}?days=7")
    assert "Recommendations brought 70.00 EUR" in html
    assert "That is as much as in the days before." in html
    assert "sessrec-worse" not in html
    until = date_format(today() - timedelta(days=1))
    assert (
        f"Whole days up to {until}. Today so far: 1 list, 0.00 EUR after a click of 3.00 EUR in sales."
        in html
    )


def test_today_is_counted_up_to_its_own_sums_though_those_of_other_days_are_older(admin_client, sales):
    page(admin_client, TODAY)
    RolledUpDay.objects.exclude(day=today()).update(rolled_up_at=F("rolled_up_at") - timedelta(minutes=16))
    at = date_format(localtime(RolledUpDay.objects.get(day=today()).rolled_up_at), "DATETIME_FORMAT")
    assert f"Counted up to {at}" in page(admin_client, TODAY)


def test_today_without_an_order_says_its_lists(admin_client, sales):
    assert "Today so far: 0 lists and no order." in page(admin_client, TODAY)


def test_the_first_day_of_a_shop_is_shown_as_far_as_it_is(admin_client):
    bought_after_a_click(earlier_today(timedelta(seconds=30)), "50.00")
    call_command("sessrec_rollup")
    html = page(admin_client, TODAY)
    assert "Recommendations brought 50.00 EUR" in html
    assert "Whole days" not in html


def test_a_shop_whose_days_before_are_unknown_is_not_said_to_grow(admin_client, sales):
    html = page(admin_client, f"{TODAY}?days=28")
    assert "Recommendations brought 140.00 EUR" in html
    assert "more than" not in html
    first = today() + timedelta(days=21)  # so that a week and 28 days are over, since 14 days ago
    assert f"A comparison with the days before is possible from {date_format(first)} on." in html
    assert not any(json.loads(re.search(PLOT, html)[1])["before"])


def test_a_young_shop_is_compared_with_the_weeks_that_it_has(admin_client, sales):
    """140 EUR of 28 days, 5 a day, against 84 EUR of the one whole week before them, 12 a day."""
    bought_after_a_click(days_ago(29), "84.00")
    bought_after_a_click(days_ago(36), "500.00")  # of a week that is not whole
    show(uuid7(days_ago(37)), days_ago(37), ["1"])
    call_command("sessrec_rollup", "--since", f"{days_ago(38):%Y-%m-%d}")
    html = page(admin_client, f"{TODAY}?days=28")
    assert "That is 7.00 EUR a day less than in the 7 days before, as far as figures reach." in html
    assert "\N{MINUS SIGN}58.3\N{NO-BREAK SPACE}%" in html, "5 EUR in place of 12"
    before = json.loads(re.search(PLOT, html)[1])["before"]
    assert before[:21] == [None] * 21
    assert sum(before[21:]) == 84
    assert "Changes compare the average day with that of the 7 days before." in html


def test_the_chart_the_table_and_the_report_say_the_same(admin_client, sales):
    html = page(admin_client, f"{TODAY}?days=7")
    plot = json.loads(re.search(PLOT, html)[1])
    this = report(*whole_days(7))
    direct = this.whole.now.money["EUR"].direct
    assert direct == Decimal("100.00")
    assert sum(plot["now"]) == float(direct)
    assert sum(plot["before"]) == float(this.whole.before.money["EUR"].direct) == 40.0
    assert len(plot["days"]) == len(plot["low"]) == len(plot["high"]) == 7
    assert all(
        low <= now <= high for low, now, high in zip(plot["low"], plot["now"], plot["high"], strict=True)
    )
    assert html.count('<td class="sessrec-number">100.00 EUR</td>') == 1


def test_the_chart_flags_the_days_on_which_staff_changed_something(admin_client, sales):
    now = datetime.now(UTC)
    publish(draft_of("product_page", "ada"), "ada", "Advent")
    RuleSet.objects.update(published_at=days_ago(3))
    AuditEntry.objects.note(AuditEntry.Action.ROLL_BACK, "ada", reason="worse", run="ranked #12")
    AuditEntry.objects.update(happened_at=days_ago(1))
    ran = {"counted_from": days_ago(40), "stopped_at": days_ago(3)}
    Experiment.objects.create(name="Does it pay?", placement="home", state="stopped", **ran)
    Experiment.objects.create(name="Anew?", placement="page", state="waiting", counted_from=now)
    Experiment.objects.update(counted_from=F("counted_from") - timedelta(days=2))
    html = page(admin_client, f"{TODAY}?days=28")
    ended, promoted = (last_days(days)[0] for days in (4, 2))
    assert "2 days with changes, dotted in the chart" in html
    words = f"{date_format(ended)}: rules of Product page went live; “Does it pay?” ended"
    assert html.count(f"<title>{words}</title>") == 1
    assert f"<strong>{date_format(promoted)}</strong>: ranked #12 promoted" in html
    assert "began" not in html, "before these days, or not yet"
    assert len(json.loads(re.search(PLOT, html)[1])["flags"]) == 2


COLOURED = r'class="(?:sessrec-number )?sessrec-(better|worse)"'


def test_a_change_that_may_be_chance_has_no_colour(admin_client, sales):
    """Of one order in each week."""
    html = page(admin_client, f"{TODAY}?days=7")
    assert "+150.0" in html
    assert not re.search(COLOURED, html)


@pytest.mark.parametrize(("ago", "colour"), [(2, "better"), (9, "worse")])
def test_a_change_that_is_more_than_chance_has_its_colour(admin_client, ago, colour):
    """Sales, their share and clicked lists, and the sales of the only placement."""
    for days in range(8, 15):
        show(uuid7(days_ago(days)), days_ago(days), ["1"])
    for clicked, at in ((40, ago), (4, 11 - ago)):
        for number in range(44):
            bought_after_a_click(days_ago(at), "10.00", clicked=number < clicked)
    call_command("sessrec_rollup")
    html = page(admin_client, f"{TODAY}?days=7")
    assert re.findall(COLOURED, html) == [colour] * 4


def test_each_card_says_how_it_is_counted(admin_client, sales):
    html = page(admin_client, TODAY)
    assert html.count("How it is counted") == 4
    assert "order lines of products clicked in a list before, less their refunds" in html
    assert html.count('class="sessrec-spark"') == 4


def test_a_run_in_training_is_on_the_page_with_its_progress(admin_client, sales):
    run = a_run(state="running", stage="fit", progress=0.5, finished_at=None)
    html = page(admin_client, TODAY)
    assert f">{run}</a>: training" in html


def test_what_needs_somebody_has_its_remedy(admin_client, sales, sessrec):
    a_run(state="failed", verdict="The disk is full.")
    html = page(admin_client, TODAY)
    assert "The disk is full." in html
    assert re.search(r"\d+ things need you\.", html)


def test_what_needs_somebody_is_counted_whole_where_only_the_worst_is_shown(
    admin_client, rf, admin_user, sales
):
    for number in range(9):
        a_run(state="failed", verdict=f"The disk {number} is full.", model=f"m{number}")
    html = page(admin_client, TODAY)
    told = int(re.search(r"(\d+) things need you\.", html)[1])
    shown = html.split('id="sessrec-needs"')[1].split("</section>")[0].count("<li>")
    assert f"And {told - shown} more, after these." in html
    request = rf.get("/admin/")
    request.user = admin_user
    tag = Template("{% load sessrec_admin %}{% sessrec_status %}")
    assert f"{told} things need you." in tag.render(Context({"request": request}))


def test_who_may_not_see_runs_reads_that_a_model_needs_somebody_and_not_which_run(
    client, django_user_model, sales, rf, sessrec
):
    sessrec["MODELS"] = {"neighbours": {"ESTIMATOR": "django_sessrec.recsys.Neighbours", "EVERY_HOURS": 1}}
    serves = a_run()
    TrainingRun.objects.update(created_at=days_ago(9))
    Promotion.objects.create(model="neighbours", run=serves, promoted_by="schedule")
    a_run(state="failed", verdict="The disk is full.")
    reader = django_user_model.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_report"))
    client.force_login(reader)
    html = page(client, TODAY).partition('id="content-main"')[2]
    for words in ("neighbours", "The disk is full.", "Read the run's page", "See under Models"):
        assert words not in html
    assert html.count("A model needs attention.") == 1
    told = re.search(r"\d+ things? needs? you\.", html)[0]
    request = rf.get("/admin/")
    request.user = reader
    tag = Template("{% load sessrec_admin %}{% sessrec_status %}")
    assert told in tag.render(Context({"request": request})), "the same on the shop's own index"
    reader.user_permissions.add(Permission.objects.get(codename="view_trainingrun"))
    html = page(client, TODAY)
    assert "The disk is full." in html
    assert re.search(rf"{serves} is \d+ hours old", html)
    assert "A model needs attention." not in html


@pytest.mark.parametrize("days", ["", "7", "28", "90", "x", "-1", "9999999999999999999999", "²"])
def test_any_period_in_the_address_gives_a_page(admin_client, sales, days):
    page(admin_client, f"{TODAY}?days={days}")


def test_the_share_is_of_recorded_sales_and_beside_it_of_all(
    admin_client, sales, sessrec, django_capture_on_commit_callbacks
):
    """100 of the 400 EUR with consent, and of 500 EUR in all."""
    url = f"{TODAY}?days=7"
    assert "Recorded sales</th>" in page(admin_client, url)
    sessrec["COUNT_ALL_ORDERS"] = True
    order = {"name": "purchase", "item_id": "9", "price": 100, "currency": "EUR"}
    with django_capture_on_commit_callbacks(execute=True):
        events.record(session_id=None, at=datetime.now(UTC) - timedelta(days=2), **order)
    call_command("sessrec_rollup", "--since", str(last_days(7)[0]))
    html = page(admin_client, url)
    assert "(25.0\N{NO-BREAK SPACE}% of recorded sales)" in html
    assert "20.0\N{NO-BREAK SPACE}% of all sales, also without consent" in html
    assert "Sales of the shop</th>" in html
    report = page(admin_client, reverse("admin:sessrec_report_changelist"))
    assert "of 440.00 EUR, 7.00 USD; 25.9\N{NO-BREAK SPACE}% EUR of all sales, also without consent" in report


def test_orders_alone_are_not_sales_after_a_click(admin_client):
    now = datetime.now(UTC)
    bought_after_a_click(now - timedelta(hours=3), "50.00", clicked=False)
    call_command("sessrec_rollup")
    assert "Recommendations brought 0.00 EUR (0.0\N{NO-BREAK SPACE}% of recorded sales)." in page(
        admin_client, TODAY
    )


def test_lists_without_any_order_say_that_money_is_not_known(admin_client):
    show(uuid7(), datetime.now(UTC) - timedelta(minutes=5), ["1"])
    call_command("sessrec_rollup")
    assert "No order was recorded in these days" in page(admin_client, TODAY)


def test_who_may_not_see_the_report_sees_no_figures(client, django_user_model, sales):
    user = django_user_model.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_trainingrun"))
    client.force_login(user)
    html = page(client, TODAY)
    assert "sessrec-headlines" not in html
    assert reverse("admin:sessrec_trainingrun_changelist") in html


def test_experiments_models_and_rules_are_for_who_may_see_their_pages(client, django_user_model, sales):
    publish(draft_of("product_page", "ada"), "ada", "Advent")
    RuleSet.objects.update(published_at=days_ago(3))
    Experiment.objects.create(name="Longer lists", placement="home", state="running")
    ended = datetime.now(UTC) - timedelta(days=1)  # for which the chart has a flag
    Experiment.objects.create(name="Longer lists 1", placement="home", state="stopped", stopped_at=ended)
    serves = a_run()
    Promotion.objects.create(model="neighbours", run=serves, promoted_by="schedule")
    trains = a_run(state="running", finished_at=None, figures={})
    reader = django_user_model.objects.create_user("reader", is_staff=True)
    client.force_login(reader)
    every = (
        "Longer lists",
        f"{serves}</a>",
        f"{trains}</a>",
        "Models</h2>",
        "Running</h2>",
        "rules of Product page",
    )
    for codename, shown in (
        ("view_report", ()),
        ("view_experiment", ("Longer lists", "Running</h2>")),
        ("view_trainingrun", every[:-1]),
        ("view_ruleset", every),
    ):
        reader.user_permissions.add(Permission.objects.get(codename=codename))
        html = page(client, TODAY).partition('id="content-main"')[2]
        assert [words for words in every if words in html] == [words for words in every if words in shown]
        for address in {*re.findall('href="(/admin/[^"?]*)', html)}:
            assert client.get(address).status_code == 200, address


def test_the_shops_own_index_can_say_it_in_one_sentence(rf, admin_user, sales):
    request = rf.get("/admin/")
    request.user = admin_user
    tag = Template("{% load sessrec_admin %}{% sessrec_status %}")
    assert "Recommendations brought 140.00 EUR" in tag.render(Context({"request": request}))
    assert tag.render(Context({})).strip() == ""


def test_a_sparkline_stays_in_its_box():
    points = [tuple(map(float, pair.split(","))) for pair in sparkline([3, -1, 8, 8]).split()]
    assert points[0][0] == 0
    assert points[-1][0] == 100
    assert all(0 <= y <= 30 for _x, y in points)
    assert sparkline([1.0]) == ""
    assert sparkline([0.0, 0.0]).count(",") == 2


@pytest.mark.e2e
@needs_chromium
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_breaks_no_rule_and_draws_its_chart_under_a_strict_policy(tab, sales, scheme):
    tab.emulate_media(color_scheme=scheme)
    tab.goto(TODAY)
    tab.wait_for_selector(".sessrec-drawn canvas")
    assert violations(tab) == []
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.wait_for_function(
        "document.documentElement.scrollWidth <= innerWidth"
    )  # once the chart is drawn anew


@pytest.mark.e2e
@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_the_checklist_breaks_no_rule(tab):
    tab.goto(TODAY)
    assert tab.locator(".sessrec-setup li").count() == 10
    assert violations(tab) == []
