"""The default list is the same whether the template engine or the package itself writes it."""

import re
from datetime import date
from decimal import Decimal

import pytest
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.safestring import mark_safe
from hypothesis import given, settings
from hypothesis import strategies as st

from django_sessrec.recommendations import REASONS, STEPS, Recommendations, RecommendedItem, render
from django_sessrec.serving import cards

TITLES = st.sampled_from(
    ["tea", 'tea & "cups" <b>', mark_safe("tea &amp; cups"), "100 % cup", "{{ tea }}", ""]
)
FIELDS = st.fixed_dictionaries(
    {"title": TITLES | st.integers(-3, 99_999), "url": st.just("/tea/?a=1&b=2")},
    optional={
        "image": st.sampled_from([None, "", "/tea.jpg", '/"tea".jpg']),
        "price": st.none()
        | st.sampled_from(
            ["4.50 €", lambda: 4, mark_safe("<b>4</b>"), Decimal("1234.50"), 0, 7.25, date(2026, 3, 9)]
        ),
    },
)
ITEMS = st.builds(
    RecommendedItem,
    item_id=st.sampled_from(["1", 'a"b', "é"]),
    item=st.none(),
    position=st.just(1),
    score=st.none(),
    step=st.sampled_from(STEPS),
    reason=st.sampled_from([*REASONS, "of_its_own"]),
    because=st.just(()),
    because_title=TITLES,
    reason_repeated=st.booleans(),
    url=st.sampled_from(["/tea/?sessrec=x.1", "/tea/?a=1&b='2'#end"]),
    fields=FIELDS,
    row=st.sampled_from(["", "Teas & more", "Cups"]),
)
LISTS = st.builds(
    Recommendations,
    placement=st.sampled_from(["product_page", 'a"b']),
    title=TITLES,
    items=st.lists(ITEMS, min_size=1, max_size=3),
    rec_id=st.sampled_from([None, "AZqf0x7ycQiB2a3P0fS8m7Xr2kZ1b0aV9sQm4T6yU8w"]),
    template=st.just(cards.LIST),
)


def without_layout(html: str) -> str:
    return re.sub(r"\s*(<[^>]*>)\s*", r"\1", html)


@settings(deadline=None)
@given(recommendations=LISTS, language=st.sampled_from(["en", "de", "fr"]))
def test_both_write_the_same(recommendations, language):
    with translation.override(language):
        assert cards.are_shipped()
        by_engine = render_to_string(cards.LIST, {"recommendations": recommendations})
        assert without_layout(render(recommendations)) == without_layout(by_engine)


def a_list() -> Recommendations:
    fields = {"title": "tea", "url": "/tea/"}
    item = RecommendedItem("1", None, 1, None, "model", "viewed", (), "", False, "/tea/", fields)
    return Recommendations("product_page", "For you", [item], template=cards.LIST)


@pytest.mark.parametrize("name", ["recommendations", "item", "reason"])
def test_a_template_of_the_shop_takes_part(settings, tmp_path, name):
    (tmp_path / "sessrec").mkdir()
    (tmp_path / "sessrec" / f"{name}.html").write_text(f"the shop's own {name}")
    assert "the shop's own" not in render(a_list())
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [tmp_path]}]
    assert f"the shop's own {name}" in render(a_list())


def test_an_engine_that_does_not_escape_is_left_to_its_own(settings):
    given = a_list()
    given.items[0].fields["title"] = "<i>tea</i>"
    assert "&lt;i&gt;tea" in render(given)
    engine = settings.TEMPLATES[0]
    settings.TEMPLATES = [engine | {"OPTIONS": {**engine.get("OPTIONS", {}), "autoescape": False}}]
    assert "<i>tea</i>" in render(given)


def test_a_reason_in_words_is_of_the_pages_language():
    item = RecommendedItem("1", None, 1, None, "model", "network", ("2",), "tea", False, "/", {})
    assert item.reason_text == "Similar to tea"
    with translation.override("de"):
        assert item.reason_text == "Ähnlich wie „tea“"
