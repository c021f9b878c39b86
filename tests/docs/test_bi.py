"""The Evidence project's SQL runs, and the Grafana dashboard asks for metrics that exist."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection

from django_sessrec.figure_models import DailyPages
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import day_of
from django_sessrec.measuring.kpis import figures
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.measuring.views import VIEWS
from tests.docs.project import first_column
from tests.support.history import buy, click, minutes, show

BI = Path(__file__).parents[2] / "docs" / "bi"
SOURCES = {path.stem: path.read_text("utf-8") for path in (BI / "evidence/sources/sessrec").glob("*.sql")}
QUERIES = [
    pytest.param(sql, id=f"{page.stem}: {name}")
    for page in sorted((BI / "evidence/pages").glob("*.md"))
    for name, sql in re.findall(r"```sql (\w+)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
]
NOON = (datetime.now(UTC) - timedelta(days=3)).replace(hour=12, minute=0, second=0, microsecond=0)
DAY = day_of(NOON)


def run(sql):
    """The query as Evidence runs it: on what the sources answered."""
    for source, text in SOURCES.items():
        sql = sql.replace(f"sessrec.{source}", f"({text}) AS {source}")
    sql = sql.replace("${inputs.currency.value}", "EUR").replace("%", "%%")
    with connection.cursor() as cursor:
        cursor.execute(sql)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture
def sold(db):
    for number in range(120):
        visit = uuid7(NOON + minutes(number))
        shown = show(visit, NOON, ["1", "2"])
        click(visit, NOON + minutes(1), "1", shown)
        buy(visit, NOON + minutes(2), "1", "10.01")
    roll_up(DAY)
    DailyPages.objects.create(day=DAY, with_consent=3, without_consent=1)


def test_every_view_is_a_source():
    assert {f"sessrec_bi_{name}" for name in SOURCES} == {view.name for view in VIEWS}


@pytest.mark.parametrize("sql", QUERIES)
def test_every_query_of_the_evidence_project_answers(sql, sold):
    assert run(sql)


def test_its_sales_are_the_admins_to_the_cent(sold):
    page = (BI / "evidence/pages/index.md").read_text("utf-8")
    (sql,) = re.findall(r"```sql sales_by_day\n(.*?)```", page, re.DOTALL)
    money = figures(DAY, DAY)[()].money["EUR"]
    (day,) = run(sql)
    assert (day["after_a_click"], day["of_the_shop"]) == (money.direct, money.total)


def test_every_chart_has_its_query():
    for page in (BI / "evidence/pages").glob("*.md"):
        text = page.read_text("utf-8")
        assert set(re.findall(r"data=\{(\w+)\}", text)) <= set(re.findall(r"```sql (\w+)\n", text))


def test_the_dashboard_asks_for_metrics_that_exist():
    dashboard = json.loads((BI / "grafana/operations.json").read_text("utf-8"))
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    assert set(re.findall(r"sessrec_\w+", asked)) == first_column("metrics.md")
