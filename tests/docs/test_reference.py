"""The reference names everything that exists, and nothing else."""

import os
import re
import subprocess
import sys
from ast import literal_eval
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.template import engines
from django.utils.module_loading import import_string

from django_sessrec.api.metrics import Figures
from django_sessrec.api.serializers import EventBody, EventItem
from django_sessrec.checks.messages import CHECKS
from django_sessrec.conf import MODEL_SETTINGS, SETTINGS, entries
from django_sessrec.models import Event
from tests.docs import tables
from tests.docs.project import first_column

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.stem)
def test_tables_made_from_the_code_are_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    assert text == tables.written(text), "run python -m tests.docs.tables"


def test_the_tables_are_written_without_a_project():
    """Contributors run `python -m tests.docs.tables` in the checkout, with no environment of their own."""
    bare = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-c", "import tests.docs.tables"]
    subprocess.run(command, cwd=DOCS.parent, env=bare, check=True)


def test_every_setting_is_documented():
    dicts = (
        MODEL_SETTINGS,
        entries.QUARANTINE,
        entries.ALARMS,
        entries.EVENT_WEIGHTS,
        entries.PLACEMENT,
        entries.EXPERIMENT,
        entries.VARIANT,
    )
    assert first_column("settings.md") == {key for table in (SETTINGS, *dicts) for key in table}


def test_every_check_has_an_id_of_its_own():
    numbers = [check.id[-3:] for check in CHECKS]
    assert len(set(numbers)) == len(numbers)
    assert first_column("checks.md") == {check.id for check in CHECKS}


def test_every_tag_is_documented():
    library = engines["django"].engine.template_libraries["sessrec"]
    documented = {row.split()[1] for row in first_column("tags.md") if row.startswith("{%")}
    assert documented == set(library.tags)


def test_every_command_is_documented():
    commands = {name for name, app in get_commands().items() if app == "django_sessrec"}
    documented = {row.split()[0] for row in first_column("commands.md") if row.startswith("sessrec_")}
    assert documented == commands


def test_every_field_of_an_event_is_documented():
    text = (DOCS / "how-to" / "test-your-shop.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([^`]+)`", text, re.MULTILINE) == [field.attname for field in Event._meta.fields]


def test_every_error_code_and_event_field_of_the_api_is_documented():
    sources = [
        *(DOCS.parent / "django_sessrec" / "api").glob("*.py"),
        DOCS.parent / "django_sessrec" / "capture" / "event.py",
    ]
    code = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    raised = set(
        re.findall(r'(?:EventError\(|Rejection\(index, |default_code = |    code = )\s*"(\w+)"', code)
    )
    fields = {*EventBody().fields, *EventItem().fields}
    text = (DOCS / "reference" / "rest.md").read_text(encoding="utf-8")
    first_cells = " ".join(re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE))
    of_the_server = {"line", "order_id"}
    assert raised - of_the_server | fields <= set(re.findall(r"`(\w+)`", first_cells))


@pytest.mark.parametrize("path", ["neural.GRU4Rec", "neural.Ranked", "recsys.Blend"])
def test_every_option_of_the_estimators_is_documented_with_its_default(path):
    estimator = import_string(f"django_sessrec.{path}")
    text = (DOCS / "reference" / "models.md").read_text(encoding="utf-8")
    section = text.partition(f"### `django_sessrec.{path}`")[2].partition("\n##")[0]
    documented = dict(re.findall(r"^\| `([^`]+)` \| `?([^|`]+)`? \|", section, re.MULTILINE))
    options = fields(estimator)
    assert set(documented) == {option.name for option in options}
    for option in options:
        if option.default is not MISSING:
            assert literal_eval(documented[option.name]) == option.default


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+\.md)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).is_file(), target


@pytest.mark.django_db
def test_every_metric_is_documented(settings, valkey):
    settings.SESSREC = {**settings.SESSREC, "STREAM_URL": valkey.stream_url}
    names = set()
    for metric in Figures().collect():
        names.add(f"{metric.name}_total" if metric.type == "counter" else metric.name)
    assert first_column("metrics.md") == names
