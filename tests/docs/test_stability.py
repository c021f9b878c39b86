"""The stability page lists what exists, and nothing else."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

import django_sessrec
from django_sessrec import urls
from django_sessrec.api import serializers
from django_sessrec.conf import SETTINGS
from django_sessrec.models import EventName, Quarantine
from django_sessrec.operations import findings
from django_sessrec.serving import candidate
from tests.docs.project import read

PAGE = read("docs/reference/stability.md")
PACKAGE = Path(django_sessrec.__file__).parent
TEMPLATES = sorted(path for path in (PACKAGE / "templates" / "sessrec").iterdir())
SCRIPT = (PACKAGE / "static" / "sessrec" / "sessrec.js").read_text("utf-8")
STYLES = (PACKAGE / "static" / "sessrec" / "sessrec.css").read_text("utf-8")
DOORS = [
    f"django_sessrec.{door}"
    for door in ("middleware", "events", "recommendations", "testing", "recsys", "neural")
]
CODE_PAGES = [
    "README.md",
    "docs/tutorial.md",
    *(
        f"docs/{folder}/{page.name}"
        for folder in ("how-to", "reference", "explanation")
        for page in sorted((PACKAGE.parent / "docs" / folder).glob("*.md"))
    ),
]
JSON = {
    "list": serializers.RecommendationsAnswer,
    "item of a list": serializers.Item,
    "list of categories": serializers.CategoriesAnswer,
    "category of a list": serializers.Category,
    "reason": serializers.Reason,
    "events": serializers.EventsBody,
    "event": serializers.EventBody,
    "item of an event": serializers.EventItem,
    "answer to events": serializers.EventsAnswer,
    "rejected event": serializers.Rejected,
    "problem": serializers.Problem,
}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_column(title: str) -> list[str]:
    """The names in the first column of a section's table, as often as they stand there."""
    return re.findall(r"^\| `([^`]+)`", section(title), re.MULTILINE)


def listed(title: str) -> set[str]:
    return set(first_column(title))


def used_attributes() -> set[str]:
    """Data attributes in templates, tags and the script; datasets name them in camel case."""
    sources = [path.read_text("utf-8") for path in (*TEMPLATES, *(PACKAGE / "templatetags").glob("*.py"))]
    named = re.findall(r"data-sessrec-[a-z]+", " ".join([*sources, SCRIPT]))
    return {
        *named,
        *(f"data-sessrec-{name.lower()}" for name in re.findall(r"dataset\.sessrec(\w+)", SCRIPT)),
    }


def public_names() -> set[str]:
    """What the public modules with an `__all__` export, beside the paths that are listed one by one."""
    others = {path for path in listed("Python") if path.rpartition(".")[0] not in DOORS}
    return others | {f"{door}.{name}" for door in DOORS for name in import_module(door).__all__}


IN_CODE = {
    "Python": public_names,
    "URL names": lambda: {f"{urls.app_name}:{pattern.name}" for pattern in urls.urlpatterns},
    "Steps": lambda: set(candidate.STEPS),
    "Reason codes": lambda: {str(code) for code in candidate.REASONS},
    "Event names": lambda: set(EventName.values),
    "Quarantine reasons": lambda: set(Quarantine.Reason.values),
    "Finding codes": lambda: {code.value for code in findings.Code},
    "Templates": lambda: {f"sessrec/{path.name}" for path in TEMPLATES},
    "CSS": lambda: set(re.findall(r"\.sessrec[\w-]*|--sessrec-[a-z]+(?=:)", STYLES)),
    "HTML attributes": used_attributes,
}


@pytest.mark.parametrize("title", IN_CODE)
def test_every_name_is_listed_once(title):
    names = first_column(title)
    assert sorted(names) == sorted(IN_CODE[title]())


@pytest.mark.parametrize("path", sorted(listed("Python")))
def test_every_python_path_exists(path):
    try:
        import_module(path)
    except ModuleNotFoundError:
        import_string(path)


def imported(code: str) -> set[str]:
    """The package's names that a page's code imports, or names by dotted path."""
    pairs = re.findall(r"^from (django_sessrec[\w.]*) import ([\w, ]+)", code, re.MULTILINE)
    names = {f"{module}.{name.strip()}" for module, names in pairs for name in names.split(",")}
    return names | set(re.findall(r"""["'](django_sessrec\.[\w.]+)["']""", code))


@pytest.mark.parametrize("page", CODE_PAGES, ids=str)
def test_the_code_of_a_page_uses_public_names_only(page):
    """A reader's shop imports what its pages print."""
    blocks = "\n".join(re.findall(r"^```python.*?\n(.*?)^```", read(page), re.MULTILINE | re.DOTALL))
    promised = listed("Python")
    doors = promised | {path.rpartition(".")[0] for path in promised}  # `from django_sessrec import events`
    assert imported(blocks) - doors == set()


@pytest.mark.parametrize("where", JSON)
def test_every_json_field_is_listed(where):
    row = re.search(rf"^\| {where} \| (.+) \|$", section("JSON fields"), re.MULTILINE)
    assert re.findall(r"`(\w+)`", row[1]) == list(JSON[where]().fields)


def test_cookies_headers_and_script_events_are_listed():
    cookie = SETTINGS["COOKIE_NAME"].default
    events = set(re.findall(r'new CustomEvent\("([^"]+)"', SCRIPT))
    headers = set(re.findall(r'headers\.get\("(Sessrec-[^"]+)"', SCRIPT))
    assert listed("Cookies, headers, arguments, script events") == {
        cookie,
        f"{cookie}_off",
        *events,
        *headers,
    }
