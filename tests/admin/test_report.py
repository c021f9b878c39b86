"""The report: figures of the period, chart, CSV, and who may see them."""

import csv
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import ONE, today
from django_sessrec.models import AuditEntry
from tests.support.admin import page
from tests.support.experiments import a_running_one, takes_part
from tests.support.history import buy, click, minutes, show

pytestmark = pytest.mark.django_db


@pytest.fixture
def earnings():
    """Yesterday: two lists of the home page, one clicked and bought from; one list of the basket."""
    at = datetime.now(UTC) - timedelta(days=1)
    visit = uuid7(at)
    shown = show(visit, at, ["1", "2"], experiment="autumn", variant="a")
    click(visit, at + minutes(1), "1", shown)
    buy(visit, at + minutes(2), "1", "1234.50")
    show(visit, at, ["1", "2"])
    show(visit, at, ["1"], placement="basket", model="", step="popular")
    return timezone.localdate(at)


def test_without_rows_it_says_what_to_do(admin_client):
    assert "No list was shown" in page(admin_client, reverse("admin:sessrec_report_changelist"))


def test_cards_tables_and_chart(admin_client, earnings):
    html = page(admin_client, reverse("admin:sessrec_report_changelist"))
    assert "1,234.50 EUR" in html
    assert "50.0\xa0%" in html
    assert html.count("<section") == 3
    assert '<td role="cell">autumn: a</td>' in html
    assert '<th role="rowheader" scope="row" title="home">Home</th>' in html
    assert '<td role="cell">no model</td>' in html
    assert 'class="sessrec-stroke"' in html
    table = html.partition("The same figures as a table")[2].partition("</table>")[0]
    assert re.findall('<th scope="col"[^>]*>(.*?)</th>', table) == ["Day", "Basket", "Home"]
    day, basket, home = re.findall('<t[hd] (?:scope="row"|class="sessrec-number")>(.*?)</t[hd]>', table)
    assert (day, basket[:3], home[:4]) == (date_format(earnings), "0.0", "50.0")


def test_the_chart_shows_the_largest_placements_and_all_others_as_one_in_lines_that_differ(admin_client):
    at = datetime.now(UTC) - timedelta(days=1)
    for number in range(9):
        for _list in range(number + 1):
            visit = uuid7(at)
            shown = show(visit, at, ["1"], placement=f"place_{number}")
        click(visit, at + minutes(1), "1", shown)
    html = page(admin_client, reverse("admin:sessrec_report_changelist"))
    chart = html.partition('<figure class="sessrec-chart"')[2].partition("</figure>")[0]
    legend = re.findall(r'<li class="([^"]*)">.*?</svg>(.*?)</li>', chart)
    names = [name for _css, name in legend]
    assert names == ["Place 4", "Place 5", "Place 6", "Place 7", "Place 8", "others"]
    table = re.findall('class="sessrec-number">(.*?)</t[hd]>', chart)
    assert table[: len(names)] == names
    assert table[len(names) :][-1].startswith("40.0"), "4 of the 10 lists of the other four"
    assert len({css for css, _name in legend}) == len(names)
    assert [css for css, _name in legend] == re.findall(r'<g class="(\S+ [\w-]+)', chart)


def test_lists_are_split_by_clicks_made_before_and_by_intents(admin_client):
    at = datetime.now(UTC) - timedelta(days=1)
    for clicks, intents in ((12, 3), (3, 1), (None, None)):
        columns = {"session_clicks": clicks, "session_intents": intents, "wanted": clicks}
        show(uuid7(at), at, ["1", "2"], **columns)
    html = page(admin_client, reverse("admin:sessrec_report_changelist"))
    assert "66.7\xa0% too short" in html
    for heading, groups in (
        ("By clicks made before", ["3-4", "10+", "not known"]),
        ("By intents of the session", ["1", "3+", "not known"]),
    ):
        section = html.partition(heading)[2].partition("</section>")[0]
        assert re.findall(r'scope="row">\s*(.*?)\s*</th>', section) == groups


def test_variants_are_shown_and_their_experiments_page_says_which_is_better(
    client, admin_client, django_user_model
):
    """By an interval that may be looked at daily, which those of the report may not."""
    at = datetime.now(UTC) - timedelta(days=1)
    experiment = a_running_one(at, "autumn", variants={"a": {}, "b": {"LIMIT": 4}})
    for variant, clicks in (("a", 0), ("b", 1)):
        for _session in range(10):
            takes_part(at, variant, clicks=clicks, experiment="autumn")
    url = reverse("admin:sessrec_report_changelist")
    html = page(admin_client, url)
    section = html.partition("By experiment")[2].partition("</section>")[0]
    assert section.count("autumn: ") == 2
    verdict = reverse("admin:sessrec_experiment_change", args=[experiment.pk])
    assert f'<a href="{verdict}">autumn</a>' in section
    assert "points" not in section
    assert "excludes 0" not in html
    clerk = django_user_model.objects.create_user("clerk", password="x", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_report"))
    client.force_login(clerk)
    assert verdict not in page(client, url)


def test_the_control_stands_first_whatever_it_is_called(admin_client):
    at = datetime.now(UTC) - timedelta(days=1)
    a_running_one(at, "autumn", variants={"zero": {}, "all new": {"LIMIT": 4}})
    for variant in ("all new", "zero"):
        takes_part(at, variant, experiment="autumn")
    html = page(admin_client, reverse("admin:sessrec_report_changelist"))
    assert html.index(": zero<") < html.index(": all new<")


def test_a_comma_language_keeps_the_points_of_coordinates(admin_client, earnings, settings):
    settings.LANGUAGE_CODE = "de"
    html = page(admin_client, reverse("admin:sessrec_report_changelist"))
    assert "1.234,50 EUR" in html
    (first, *_others) = re.findall(r'class="sessrec-dot" d="M([^ ]+) h0"', html)
    assert re.fullmatch(r"[\d.]+,[\d.]+", first)


def test_another_period_is_empty(admin_client, earnings):
    url = reverse("admin:sessrec_report_changelist") + "?start=2026-01-01&end=2026-01-31"
    assert "No list was shown" in page(admin_client, url)


@pytest.mark.parametrize(
    "query",
    [
        *("start=2026-02-30", "start=2026-03-02&end=2026-03-01", "start=2001-01-01", "end=x", "start=%00"),
        *("end=0001-01-05", "start=0001-01-01&end=0001-01-01", "start=9999-12-31&end=9999-12-31"),
    ],
)
def test_a_wrong_period_is_named(admin_client, query):
    assert "errornote" in page(admin_client, reverse("admin:sessrec_report_changelist") + f"?{query}")
    assert admin_client.get(reverse("admin:sessrec_report_export") + f"?{query}").status_code == 400


def test_a_period_that_starts_in_the_future_is_not_called_turned_round(admin_client):
    html = page(admin_client, reverse("admin:sessrec_report_changelist") + f"?start={today() + ONE}")
    assert "The first day is in the future" in html
    assert "swap" not in html


def test_csv(admin_client, earnings):
    answer = admin_client.get(reverse("admin:sessrec_report_export"))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(answer.content.decode().splitlines()))
    assert [(row["placement"], row["impressions"], row["direct_EUR"]) for row in rows] == [
        ("basket", "1", "0"),
        ("home", "1", "0"),
        ("home", "1", "1234.50"),
    ]
    assert {row["day"] for row in rows} == {earnings.isoformat()}


def test_an_export_is_in_the_audit_trail_and_a_look_is_not(admin_client, earnings):
    admin_client.get(reverse("admin:sessrec_report_changelist"))
    assert not AuditEntry.objects.exists()
    admin_client.get(reverse("admin:sessrec_report_export") + "?start=2026-01-01&end=2026-01-31")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.done_by) == ("export", "admin")
    assert entry.detail == {"rows": 0, "start": "2026-01-01", "end": "2026-01-31"}


@pytest.mark.parametrize("name", ["sessrec_report_changelist", "sessrec_report_export"])
def test_only_who_may_view_the_report(client, django_user_model, name):
    user = django_user_model.objects.create_user("clerk", password="x", is_staff=True)
    assert client.get(reverse(f"admin:{name}")).status_code == 302
    client.force_login(user)
    assert client.get(reverse(f"admin:{name}")).status_code == 403
    given = Permission.objects.filter(codename__in=["view_report", "export_figures"])
    user.user_permissions.add(*given)
    assert client.get(reverse(f"admin:{name}")).status_code == 200


def test_who_may_view_the_report_may_not_export_it(client, django_user_model):
    user = django_user_model.objects.create_user("clerk", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_report"))
    client.force_login(user)
    export = reverse("admin:sessrec_report_export")
    assert client.get(export).status_code == 403
    assert export not in page(client, reverse("admin:sessrec_report_changelist"))
