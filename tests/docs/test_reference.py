"""The reference names everything that exists, and nothing else."""

import re
from ast import literal_eval
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.template import engines
from django.utils.module_loading import import_string

from django_sessrec.conf import DEFAULTS, PLACEMENT_DEFAULTS, QUARANTINE_DEFAULTS

DOCS = Path(__file__).parents[2] / "docs"


def first_column(page: str) -> set[str]:
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE))


def test_every_setting_is_documented():
    assert first_column("settings.md") == {*DEFAULTS, *PLACEMENT_DEFAULTS, *QUARANTINE_DEFAULTS}


def test_every_check_is_documented():
    source = (DOCS.parent / "django_sessrec" / "checks" / "__init__.py").read_text(encoding="utf-8")
    kinds = {"error": "E", "warning": "W"}
    calls = re.findall(r"\b(error|warning)\(\s*(\d+),", source)
    assert first_column("checks.md") == {f"sessrec.{kinds[kind]}{int(number):03}" for kind, number in calls}


def test_every_tag_is_documented():
    library = engines["django"].engine.template_libraries["sessrec"]
    documented = {row.split()[1] for row in first_column("tags.md") if row.startswith("{%")}
    assert documented == set(library.tags)


def test_every_command_is_documented():
    commands = {name for name, app in get_commands().items() if app == "django_sessrec"}
    documented = {row.split()[0] for row in first_column("commands.md") if row.startswith("sessrec_")}
    assert documented == commands


@pytest.mark.parametrize("path", ["neural.GRU4Rec", "neural.Ranked", "recsys.blend.Blend"])
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
