"""German and French: nothing of what people read is missing, and pages of visitors hold no English."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.utils import translation

import django_sessrec
from django_sessrec.capture.tracker import Tracker
from django_sessrec.recommendations import get_recommendations, render
from tests.support.visits import FIREFOX

PACKAGE = Path(django_sessrec.__file__).parent
LANGUAGES = ("de", "fr")
LONGEST = 300  # characters: a longer text is several, each translated and changed by itself
languages = pytest.mark.parametrize("language", LANGUAGES)


def po_file(language: str, package: Path = PACKAGE) -> Path:
    return package / "locale" / language / "LC_MESSAGES" / "django.po"


def read(language: str, package: Path = PACKAGE) -> Catalog:
    with po_file(language, package).open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def messages(catalog: Catalog) -> Iterator[Message]:
    return (message for message in catalog if message.id)


def forms(text: str | tuple[str, ...] | list[str]) -> list[str]:
    """A text, or its singular and plural."""
    return [text] if isinstance(text, str) else list(text)


@pytest.fixture(scope="module")
def in_code(tmp_path_factory) -> set:
    """Every string that makemessages finds, from a copy that has no translations yet."""
    if shutil.which("xgettext") is None:
        pytest.skip("GNU gettext is missing: apt-get install gettext")
    copy = tmp_path_factory.mktemp("strings") / "django_sessrec"
    shutil.copytree(
        PACKAGE, copy, ignore=shutil.ignore_patterns("*.po", "*.mo", "__pycache__", "static", "*.so")
    )
    (copy / "locale").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "django", "makemessages", "-l", "de", "-e", "html,md,py", "-v", "0"]
    environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(command, cwd=copy, env=environment, check=True)
    return {tuple(forms(message.id)) for message in messages(read("de", copy))}


def test_no_french_line_begins_with_a_colon():
    broken = [text for each in messages(read("fr")) for text in forms(each.string)]
    assert [text for text in broken if re.search(r"« | [:;?!»](?!\w)", text)] == []


@languages
def test_every_string_of_the_code_is_in_the_translation_and_no_other(in_code, language):
    translated = {tuple(forms(message.id)) for message in messages(read(language))}
    assert in_code - translated == set(), "run `make messages`, and translate them"
    assert translated - in_code == set(), "run `make messages`"


@languages
def test_no_translation_is_a_guess_or_left_over(language):
    catalog = read(language)
    assert [message.id for message in messages(catalog) if message.fuzzy] == []
    assert list(catalog.obsolete) == []


@languages
def test_every_string_is_translated(language):
    catalog = messages(read(language))
    assert [message.id for message in catalog if not all(forms(message.string))] == []


@languages
def test_a_translation_fills_in_what_the_original_does(language):
    catalog = read(language)
    errors = {str(error): message.id for message in messages(catalog) for error in message.check(catalog)}
    assert errors == {}
    if msgfmt := shutil.which("msgfmt"):
        command = [msgfmt, "--check", "--output-file", os.devnull, po_file(language)]
        assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""


def test_no_string_is_longer_than_a_translator_can_keep_in_view():
    every = {form for message in messages(read("de")) for form in forms(message.id)}
    assert {text for text in every if len(text) > LONGEST} == set()


class Texts(HTMLParser):
    """What a reader sees or hears of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found |= {value for name, value in attrs if name in ("aria-label", "alt", "title") and value}

    def handle_data(self, data):
        sentences = re.split(r"(?<=[.:])\s+", data.strip())
        self.found |= {sentence for sentence in sentences if re.search(r"[^\W\d_]{2}", sentence)}


def pages(products, promote, trails, placement) -> Iterator[str]:
    """Everything that the package shows a visitor, under each consent and with each rule."""
    variants = {"a": {"SHARE": 1}, "b": {"SHARE": 0}}
    rules = {
        "PINNED": [products[0].pk],
        "SPONSORED": [products[1].pk],
        "EXCLUDED": [products[2].pk, products[3].pk],
        "MAX_PER_CATEGORY": 7,
    }
    seen = {"STEPS": ["recently_viewed"]}
    for keys in ({"MODELS": []}, rules, seen, {"EXPERIMENT": {"NAME": "x", "VARIANTS": variants}}):
        placement(**keys)
        for answer, off in (("yes", False), ("no", False), ("yes", True)):
            client = Client(headers={"user-agent": FIREFOX})
            request = RequestFactory().get("/", headers={"user-agent": FIREFOX})
            for cookies in (client.cookies, request.COOKIES):
                cookies["consent"] = answer
                if off:
                    cookies["sessrec_off"] = "1"
            yield client.get("/sessrec/why/").content.decode()
            request.sessrec = Tracker(request)
            tags = '{% load sessrec %}{% sessrec_toggle %}{% sessrec_why "product_page" %}'
            yield Template(tags).render(Context({"request": request}))
            items = [products[4].pk, products[6].pk]
            yield render(get_recommendations(request, "product_page", items=items))
            yield render(get_recommendations(request, "product_page"))


@pytest.mark.django_db
@languages
@pytest.mark.usefixtures("fresh_process")
def test_no_page_of_a_visitor_says_anything_in_english(
    language, settings, products, promote, trails, placement
):
    promote(trails)
    said = {}
    for code in ("en", language):
        settings.LANGUAGE_CODE = code
        with translation.override(code):
            said[code] = [Texts(html).found for html in pages(products, promote, trails, placement)]
    assert len(set.union(*said["en"])) > 30, "the pages say something"
    names = {product.name for product in products}
    for english, translated in zip(said["en"], said[language], strict=True):
        assert english & translated <= names
