"""Evidence's pages are answered by DuckDB, and the Grafana dashboard asks for metrics that exist."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from django_sessrec.figure_models import DailyPages
from django_sessrec.ids import uuid7
from django_sessrec.measuring.bi_export import STORAGE, export
from django_sessrec.measuring.days import day_of
from django_sessrec.measuring.kpis import figures
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.measuring.views import VIEWS
from tests.docs.project import first_column
from tests.support.history import buy, click, minutes, show

BI = Path(__file__).parents[2] / "docs" / "bi"
SOURCES = {path.stem: path.read_text("utf-8") for path in (BI / "evidence/sources/sessrec").glob("*.sql")}
PAGES = [pytest.param(path, id=path.stem) for path in sorted((BI / "evidence/pages").glob("*.md"))]
QUERY = re.compile(r"```sql (\w+)\n(.*?)```", re.DOTALL)
NOON = (datetime.now(UTC) - timedelta(days=3)).replace(hour=12, minute=0, second=0, microsecond=0)
DAY = day_of(NOON)


@pytest.fixture
def duck(sold, settings, tmp_path):
    """The engine of Evidence's pages over the sources, which are the views as they are exported."""
    duckdb = pytest.importorskip("duckdb", reason="it is in the dependency group test")
    files = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, STORAGE: files}
    list(export(formats=["parquet"]))
    with duckdb.connect() as engine:
        engine.execute("CREATE SCHEMA sessrec")
        for source, sql in SOURCES.items():
            view = re.fullmatch(r"SELECT \* FROM (\w+)\s*", sql)[1]
            engine.execute(
                f"CREATE VIEW sessrec.{source} AS SELECT * FROM read_parquet('{tmp_path}/{view}/*.parquet')"
            )
        yield engine


def run(duck, sql):
    """The query as a page asks it, with a currency chosen: a dict for each row."""
    answer = duck.execute(sql.replace("${inputs.currency.value}", "EUR"))
    names = [column[0] for column in answer.description]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


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


@pytest.mark.parametrize("page", PAGES)
def test_every_query_of_a_page_answers_and_every_chart_names_its_columns(page, duck):
    text = page.read_text("utf-8")
    answers = {name: run(duck, sql) for name, sql in QUERY.findall(text)}
    assert all(answers.values()), {name: len(rows) for name, rows in answers.items()}
    for component in re.findall(
        r"<(?:\w+Chart|DataTable|Dropdown)\b.*?(?:/>|</DataTable>|\n\n)", text, re.DOTALL
    ):
        columns = answers[re.search(r"data=\{(\w+)\}", component)[1]][0].keys()
        given = re.findall(r"\b(?:x|y|series|value|id)=(\w+|\{.*?\})", component)
        assert given or "search=" in component or "emptySet" in component
        assert {name for each in given for name in re.findall(r"\w+", each)} <= columns, component


def test_its_sales_are_the_admins_to_the_cent(duck):
    page = (BI / "evidence/pages/index.md").read_text("utf-8")
    (sql,) = re.findall(r"```sql sales_by_day\n(.*?)```", page, re.DOTALL)
    money = figures(DAY, DAY)[()].money["EUR"]
    (day,) = run(duck, sql)
    assert (day["after_a_click"], day["of_the_shop"]) == (money.direct, money.total)


def test_the_dashboard_asks_for_metrics_that_exist():
    dashboard = json.loads((BI / "grafana/operations.json").read_text("utf-8"))
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    assert set(re.findall(r"sessrec_\w+", asked)) == first_column("metrics.md")
