"""The stability page lists what exists, and nothing else."""

import re
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

import django_sessrec
from django_sessrec import urls
from django_sessrec.api import serializers
from django_sessrec.conf import SETTINGS
from django_sessrec.models import EventName, Quarantine
from django_sessrec.serving import fallback
from tests.docs.project import read

PAGE = read("docs/reference/stability.md")
PACKAGE = Path(django_sessrec.__file__).parent
TEMPLATES = sorted(path for path in (PACKAGE / "templates" / "sessrec").iterdir())
SCRIPT = (PACKAGE / "static" / "sessrec" / "sessrec.js").read_text("utf-8")
STYLES = (PACKAGE / "static" / "sessrec" / "sessrec.css").read_text("utf-8")
JSON = {
    "list": serializers.Recommendations,
    "item of a list": serializers.Item,
    "reason": serializers.Reason,
    "event": serializers.EventBody,
    "item of an event": serializers.EventItem,
    "answer to events": serializers.EventsAnswer,
    "problem": serializers.Problem,
}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def listed(title: str) -> set[str]:
    """The names in the first column of a section's table."""
    return set(re.findall(r"^\| `([^`]+)`", section(title), re.MULTILINE))


def used_attributes() -> set[str]:
    """Data attributes in templates, tags and the script; datasets name them in camel case."""
    sources = [path.read_text("utf-8") for path in (*TEMPLATES, *(PACKAGE / "templatetags").glob("*.py"))]
    named = re.findall(r"data-sessrec-[a-z]+", " ".join([*sources, SCRIPT]))
    return {
        *named,
        *(f"data-sessrec-{name.lower()}" for name in re.findall(r"dataset\.sessrec(\w+)", SCRIPT)),
    }


def in_code(title: str) -> set[str]:
    match title:
        case "URL names":
            return {f"{urls.app_name}:{pattern.name}" for pattern in urls.urlpatterns}
        case "Steps":
            steps = ("PINNED", "SPONSORED", "MODEL", "CO_VIEWS", "CATEGORY", "POPULAR", "STATIC")
            return {getattr(fallback, step) for step in steps}
        case "Reason codes":
            return {str(code) for code in fallback.REASONS}
        case "Event names":
            return set(EventName.values)
        case "Quarantine reasons":
            return set(Quarantine.Reason.values)
        case "Templates":
            return {f"sessrec/{path.name}" for path in TEMPLATES}
        case "CSS":
            return set(re.findall(r"\.sessrec[\w-]*|--sessrec-[a-z]+(?=:)", STYLES))
        case "HTML attributes":
            return used_attributes()
    raise AssertionError(title)


@pytest.mark.parametrize(
    "title",
    [
        "URL names",
        "Steps",
        "Reason codes",
        "Event names",
        "Quarantine reasons",
        "Templates",
        "CSS",
        "HTML attributes",
    ],
)
def test_every_name_is_listed(title):
    assert listed(title) == in_code(title)


@pytest.mark.parametrize("path", sorted(listed("Python")))
def test_every_python_path_exists(path):
    import_string(path) if path.rpartition(".")[2] != "urls" else __import__(path)


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
