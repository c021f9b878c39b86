"""What stands above a list's items: its heading, those of its rows, and the products that reasons name."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from django_sessrec.catalogue import get_catalogue
from django_sessrec.safety import isolated, swallowed
from django_sessrec.serving.candidate import (
    BEST_SELLERS,
    BOUGHT_TOGETHER,
    BY_HAND,
    FOR_EVERYBODY,
    MODEL,
    NEW,
    POPULAR,
    RECENTLY_VIEWED,
    TRENDING,
    WATCHED,
)
from django_sessrec.serving.choose import Choice
from django_sessrec.serving.placements import Placement


def list_title(choice: Choice, placement: Placement) -> str:
    """A heading that is true for this list.

    One that is the same for everybody is not "Picked for you", one of new products and a bestseller is not
    "Bestsellers".
    """
    answer = choice.answer
    step = answer.step if answer else ""
    reasons = {each.reason for each in choice.chosen if each.step not in BY_HAND}
    if answer and reasons <= FOR_EVERYBODY:
        step = answer.reason  # of a model as well, which may know popularity only
    if step in (RECENTLY_VIEWED, BOUGHT_TOGETHER):
        return str(placement.title or usual_title(step if made_all(step, choice) else MODEL))
    if step not in FOR_EVERYBODY:
        for_a_basket = placement.steps[:1] == (BOUGHT_TOGETHER,)  # and there is none
        return str((placement.fallback_title if for_a_basket else placement.title) or _("You may also like"))
    filled = reasons != {step}
    usual = usual_title("" if filled else step, _("From our range") if reasons <= FOR_EVERYBODY else "")
    if placement.steps[:1] != (step,):
        return str(placement.fallback_title or usual)
    meant = placement.title or usual
    return str((placement.fallback_title or meant) if filled else meant)


def made_all(step: str, choice: Choice) -> bool:
    """Whether this step has made the whole list, but for what the shop placed."""
    return all(each.step == step for each in choice.chosen if each.step not in BY_HAND)


def usual_title(step: str, otherwise: str = "") -> str:
    """Heading of a list that is made by this step, where the shop names none."""
    named = {
        RECENTLY_VIEWED: _("Recently viewed"),
        BOUGHT_TOGETHER: _("Often bought together"),
        POPULAR: _("Popular right now"),
        TRENDING: _("Trending now"),
        WATCHED: _("Others are looking at this"),
        BEST_SELLERS: _("Bestsellers"),
        NEW: _("New in the shop"),
    }
    return named.get(step) or otherwise or _("You may also like")


class ItemTitles:
    """Titles of the items named in reasons, each looked up once per list."""

    def __init__(self, request: HttpRequest | None) -> None:
        self._request = request
        self._catalogue = get_catalogue()
        self._known: dict[int, str] = {}

    def unsaid(self, reason: str, because: Sequence[Any], said: Container[tuple[str, str]]) -> str:
        """The first title that was not said with this reason yet, else the first one; empty without any."""
        first = ""
        for number, item in enumerate(because):
            title = self.of(item)
            if title and (reason, title) not in said:
                return title
            if not number:
                first = title
        return first

    def of(self, item: Any) -> str:
        """The title; empty where the catalogue can't describe the item."""
        if id(item) not in self._known:
            self._known[id(item)] = ""
            try:
                self._known[id(item)] = str(self._catalogue.describe(item, self._request)["title"])
            except Exception as error:
                if not swallowed("describe an item that speaks for another", error):
                    raise
        return self._known[id(item)]

    def row(self, item: Any, because_title: str) -> str:
        """Heading of a row that begins with the item; empty where nothing names it."""
        with isolated("tell what an item is one of", savepoints=False):
            if kind := self._catalogue.kind(item):
                return _("More %(kind)s") % {"kind": kind}
        return _("More like %(title)s") % {"title": because_title} if because_title else ""
