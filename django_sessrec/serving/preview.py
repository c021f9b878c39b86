"""What a change of a placement's rules would do: both lists for recent real sessions, side by side."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from django_sessrec import database
from django_sessrec.capture.event import CLICK_EVENTS, SESSION_EVENTS
from django_sessrec.capture.session_events import SessionEvent
from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.models import Event, EventName, Impression
from django_sessrec.safety import isolated
from django_sessrec.serving.choose import REFILLED, Choice, choose
from django_sessrec.serving.merchant_rules import Merchandising
from django_sessrec.serving.placements import Placement, placement_for
from django_sessrec.serving.visit import Visit, visit_from_events

SESSIONS: Final = 200
DAYS: Final = 7
LISTS_PER_SESSION: Final = 8  # read at most for each session that is wanted
BELONGS: Final = timedelta(seconds=10)  # a view so shortly before a list was the page's own
EXAMPLES: Final = 5
SECONDS: Final = 10.0  # a page is not waited for longer


@dataclass(frozen=True, slots=True)
class Example:
    """One session with both lists."""

    visit: Visit
    placement: Placement  # as its session gets it
    before: Choice
    after: Choice


@dataclass(slots=True)
class Comparison:
    """Lists of recent sessions under the rules that are live and under others."""

    sessions: int = 0  # compared
    holdouts: int = 0  # sessions left out: their list is empty under any rules
    changed: int = 0  # lists that differ
    short_before: int = 0  # lists with fewer products than the placement asks for
    short_after: int = 0
    refilled: int = 0  # lists that got back what the new rules had left out
    gone: Counter[str] = field(default_factory=Counter)  # item id -> lists that lose it
    new: Counter[str] = field(default_factory=Counter)  # item id -> lists that gain it
    touched: Counter[str] = field(default_factory=Counter)  # a new rule's name in traces -> lists it changes
    examples: list[Example] = field(default_factory=list)
    failed: bool = False  # the shop's catalogue raised: the rest was not compared
    items: dict[str, Any] = field(default_factory=dict)  # id -> the shop's object


def recent_visits(placement: str, limit: int = SESSIONS) -> list[Visit]:
    """The latest sessions as they were when they last saw the placement; topped up with other sessions.

    No bots. In a shop whose placement is new, each session is taken at its last click.
    """
    since = timezone.now() - timedelta(days=DAYS)
    shown = (
        Impression.objects.filter(placement=placement, bot=False, shown_at__gte=since)
        .order_by("-impression_id")
        .values_list("session_id", "shown_at")[: limit * LISTS_PER_SESSION]
    )
    moments: dict[UUID, Any] = {}
    for session_id, shown_at in shown:
        moments.setdefault(session_id, shown_at)
    if len(moments) < limit:
        clicked = (
            Event.objects.filter(name__in=CLICK_EVENTS, bot=False, occurred_at__gte=since)
            .order_by("-event_id")
            .values_list("session_id", "occurred_at")[: limit * LISTS_PER_SESSION]
        )
        for session_id, occurred_at in clicked:
            moments.setdefault(session_id, occurred_at)
    chosen = dict(list(moments.items())[:limit])
    events = (
        Event.objects.filter(
            session_id__in=chosen,
            occurred_at__gte=since - timedelta(days=1),
            name__in=SESSION_EVENTS,
            bot=False,
        )
        .order_by("event_id")
        .values_list("session_id", "event_id", "name", "item_id", "quantity")
    )
    by_session: dict[UUID, list[SessionEvent]] = defaultdict(list)
    with database.values_apart():
        for session_id, event_id, *what in events:
            event = SessionEvent(str(event_id), *what)
            if event.at <= chosen[session_id]:
                by_session[session_id].append(event)
    return [_visit(session_id, at, by_session[session_id]) for session_id, at in chosen.items()]


def _visit(session_id: UUID, at: Any, events: Sequence[SessionEvent]) -> Visit:
    """The session at the moment of a list; a view just before it is the page that the list stands on."""
    views = [each for each in events if each.name == EventName.VIEW_ITEM]
    on_page = bool(views) and at - views[-1].at <= BELONGS
    return visit_from_events(session_id, events, current=views[-1].item_id if on_page else "")


def compare(
    placement: str,
    visits: Sequence[Visit],
    before: Merchandising,
    after: Merchandising,
    *,
    seconds: float | None = None,
) -> Comparison:
    """Both lists for each visit, as far as SECONDS allow. Stores nothing; products are looked up once."""
    catalogue = RememberingCatalogue(get_catalogue())
    compared = Comparison(items=catalogue.offered)
    until = time.monotonic() + (SECONDS if seconds is None else seconds)
    for visit in visits:
        if time.monotonic() > until:
            break
        settled = [placement_for(placement, visit, merchandising=each) for each in (before, after)]
        if settled[0].holdout:
            compared.holdouts += 1
            continue
        made: list[Choice] = []
        with isolated("make the lists of a preview"):
            made = [choose(visit, each, catalogue=catalogue) for each in settled]
        if not made:
            compared.failed = True
            break
        one, other = made
        ids = [[each.item_id for each in choice.chosen] for choice in (one, other)]
        compared.sessions += 1
        compared.short_before += len(ids[0]) < settled[0].limit
        compared.short_after += len(ids[1]) < settled[1].limit
        rules = {effect.rule for effect in other.effects}
        compared.refilled += REFILLED in rules
        compared.touched.update(rules)
        if ids[0] != ids[1]:
            compared.changed += 1
            compared.gone.update(set(ids[0]) - set(ids[1]))
            compared.new.update(set(ids[1]) - set(ids[0]))
            if len(compared.examples) < EXAMPLES:
                compared.examples.append(Example(visit, settled[0], one, other))
    return compared


class RememberingCatalogue(TextCatalogue):
    """A catalogue for many lists at one moment: no product is looked up twice."""

    def __init__(self, catalogue: TextCatalogue) -> None:
        super().__init__(catalogue.shop)
        self.offered: dict[str, Any] = {}
        self._asked: set[str] = set()
        self._sensitive: set[str] = set()
        self._judged: set[str] = set()
        self._lists: dict[tuple[str, int], list[str]] = {}

    def resolve(self, item_ids: Collection[str], request: HttpRequest | None = None) -> dict[str, Any]:
        if new := set(item_ids) - self._asked:
            self._asked |= new
            self.offered |= super().resolve(new, request)
        return {item_id: self.offered[item_id] for item_id in item_ids if item_id in self.offered}

    def sensitive(self, item_ids: Collection[str]) -> set[str]:
        if new := set(item_ids) - self._judged:
            self._judged |= new
            self._sensitive |= super().sensitive(new)
        return self._sensitive & set(item_ids)

    def related(self, item_id: str, limit: int) -> list[str]:
        if (item_id, limit) not in self._lists:
            self._lists[item_id, limit] = super().related(item_id, limit)
        return self._lists[item_id, limit]

    def fallback(self, limit: int) -> list[str]:
        if ("", limit) not in self._lists:
            self._lists["", limit] = super().fallback(limit)
        return self._lists["", limit]
