"""The default list as HTML, made without the template engine, which takes eight times as long.

The templates remain what a shop overrides or includes. Where one of them is the shop's own, the engine
renders them all; otherwise this module writes what they say, and tests hold both equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from html import escape
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from django.template import Context, Template
from django.template.base import render_value_in_context
from django.template.loader import get_template
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from django_sessrec.serving.candidate import PINNED, SPONSORED
from django_sessrec.serving.reasons import words

if TYPE_CHECKING:
    from django_sessrec.serving.recommendations import Recommendations, RecommendedItem

SHIPPED: Final = Path(__file__).parents[1] / "templates"
LIST: Final = "sessrec/recommendations.html"
PARTS: Final = {name: str(SHIPPED / name) for name in (LIST, "sessrec/item.html", "sessrec/reason.html")}
VALUES: Final = Context()
SHOWN: Final = ("title", "image", "price")
PLAIN: Final = frozenset({str, SafeString, int, float, Decimal, bool, NoneType, date, datetime})
MARKUP: Final = re.compile("[&<>\"']").search  # what `escape` replaces, in most texts nothing


def ask_nothing(items: Sequence[RecommendedItem]) -> bool:
    """Whether the cards show plain values alone, behind which no query of the shop's can stand."""
    return {type(item.fields.get(name)) for item in items for name in SHOWN} <= PLAIN


def are_shipped() -> bool:
    """Whether the list and its parts are this package's own templates, in an engine that escapes."""
    for name, shipped in PARTS.items():
        template = getattr(get_template(name), "template", None)  # the engine's own
        if not isinstance(template, Template) or template.origin.name != shipped:
            return False
        if not template.engine.autoescape:
            return False
    return True


def html(recommendations: Recommendations) -> SafeString:
    """What LIST renders for a list that has items."""
    title, rec_id = _value(recommendations.title), recommendations.rec_id
    shown_as = f' data-sessrec-rec="{_value(rec_id)}"' if rec_id else ""
    translate = cache(gettext)  # most reasons of a list have the same words
    rows = "".join([_row(*row, translate) for row in recommendations.rows])
    return SafeString(
        f'<section class="sessrec" aria-label="{title}"'
        f' data-sessrec-placement="{_value(recommendations.placement)}"{shown_as}>\n{rows}</section>\n'
    )


def _row(title: str, items: Sequence[RecommendedItem], reason: str, translate: Callable[[str], str]) -> str:
    cards = "".join([_card(item, "" if reason else _reason(item, translate)) for item in items])
    heading = f'<h2 class="sessrec__heading">{_value(title)}</h2>\n'
    if reason:
        heading += f'<p class="sessrec__because">{_value(reason)}</p>\n'
    return f'{heading}<ul class="sessrec__list" role="list">\n{cards}</ul>\n'


def _reason(item: RecommendedItem, translate: Callable[[str], str]) -> str:
    """The item's reason_text."""
    if item.reason_repeated or item.step == SPONSORED:
        return ""
    return words(item.reason, item.because_title, translate)


def _card(item: RecommendedItem, reason: str) -> str:
    fields, picture, pick, price, why = item.fields, "", "", "", ""
    if "image" in fields:
        image = fields["image"]
        picture = f'<img src="{_value(image)}" alt="" loading="lazy" decoding="async">' if image else ""
        picture = f'<span class="sessrec__picture">{picture}</span>\n'
    if item.step == PINNED:
        pick = f'<span class="sessrec__label">{gettext("Our pick")}</span>\n'
    if "price" in fields and fields["price"] is not None:
        price = f'<span class="sessrec__price">{_value(fields["price"])}</span>\n'
    if item.step == SPONSORED:
        why = f'<span class="sessrec__label">{gettext("Sponsored")}</span>\n'
    elif reason:
        why = f'<span class="sessrec__reason">{_value(reason)}</span>\n'
    return (
        f'<li class="sessrec__item" data-sessrec-item="{_value(item.item_id)}">\n'
        f'<a class="sessrec__card" href="{_value(item.url)}">\n'
        f'{picture}{pick}<span class="sessrec__title">{_value(fields["title"])}</span>\n'
        f"{price}{why}</a>\n</li>\n"
    )


def _value(value: Any) -> str:
    """The value as a template writes it: escaped, and numbers and dates in the page's language."""
    if type(value) is str:
        return escape(value) if MARKUP(value) else value
    return str(render_value_in_context(value() if callable(value) else value, VALUES))
