"""The input of a list: the session so far, and the current page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from django_sessrec.capture.consent import CONTEXTUAL, SESSION, Level
from django_sessrec.capture.event import CLICK_EVENTS
from django_sessrec.capture.session_events import SessionEvent, session_events
from django_sessrec.capture.tracker import Tracker
from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import EventName
from django_sessrec.safety import isolated, swallowed

MAX_CATEGORIES: Final = 50  # of one page
MAX_QUERY: Final = 200  # characters
MAX_BASKET_LINES: Final = 200  # newest lines of the shop's own basket
MAX_SESSION_ITEMS: Final = 50  # newest clicks of a session: no model listens further back


@dataclass(frozen=True, slots=True)
class Visit:
    """A session at one moment. Item ids are text, oldest first.

    Built by visit_of() for a page, or directly for a preview, a replay or a test: Visit(items=["1", "2"]).
    Whole numbers, UUIDs and the shop's objects become their text; TypeError for what names no item, and for
    one text in place of a list of ids.
    """

    items: Sequence[str] = ()  # viewed or put into the basket
    current: str = ""  # the item on screen
    basket: Sequence[str] = ()  # still in it
    purchases: Sequence[str] = ()
    since_purchase: Sequence[str] = ()  # items clicked after the latest of these
    session_id: UUID | None = None
    consent: Level = CONTEXTUAL
    at: datetime = field(default_factory=timezone.now)
    categories: Sequence[str] = ()  # of the page: its lists show these only
    query: str = ""  # of the page's search
    left_out: Sequence[str] = ()  # what the request leaves out, and what other lists of its page show
    group: str | None = None  # the customer's, for rules; None: the page's request tells it

    def __post_init__(self) -> None:
        for name in ("items", "basket", "purchases", "since_purchase", "left_out"):
            given = getattr(self, name)
            if given and (ids := _as_text(name, given)) is not given:
                object.__setattr__(self, name, ids)
        if type(self.current) is not str:
            current = "" if self.current is None else get_catalogue().id_of(self.current)
            object.__setattr__(self, "current", current)

    @property
    def clicks(self) -> list[str]:
        """What models hear: the items, with the one on screen last."""
        if self.current and self.current not in self.items[-1:]:
            return [*self.items, self.current]
        return list(self.items)

    @property
    def decided(self) -> set[str]:
        """What the visitor has in the basket or has bought."""
        return {*self.basket, *self.purchases}

    @property
    def anchors(self) -> list[str]:
        """What something is bought with: the basket and the item on screen, else what was just bought."""
        on_screen = [self.current] if self.current and self.current not in self.basket else []
        return [*self.basket, *on_screen] or list(self.purchases)


def _as_text(name: str, given: Iterable[Any]) -> Sequence[str]:
    """The item ids as text; what is given itself where it is a list of text already, as on every page."""
    if isinstance(given, str | bytes):
        raise TypeError(f"{name} = {given!r} of type {type(given).__name__} is not a list of item ids")
    ids = given if isinstance(given, list | tuple) else tuple(given)
    if {*map(type, ids)} <= {str}:
        return ids
    id_of = get_catalogue().id_of
    return tuple(id_of(each) for each in ids)


def visit_of(
    request: HttpRequest | None,
    *,
    item: Any = None,
    items: Sequence[Any] | None = None,
    category: Any = None,
    query: str = "",
    leave_out: Any = (),
) -> Visit:
    """The visit that this request belongs to; one query where the visitor brings a session, else none.

    From here on the response is private, whatever else is true of the request: a shared cache that kept it
    would show one visitor's list to another.

    - `item`: what is on screen, an id or the shop's object; without it, the item of TRACKED_VIEWS
    - `items`: the session's items, oldest first, from a client that keeps them; ignored without consent
    - `category`: of the page, as the catalogue names it, an object of the shop, or several
    - `query`: the words of the page's search
    - `leave_out`: what no list of this visit shows, an id or an object of the shop, or several
    """
    visit = _visit_of(request, item=item, items=items, leave_out=leave_out)
    if category is None and not query:
        return visit
    return replace(visit, categories=named_categories(category), query=str(query or "").strip()[:MAX_QUERY])


def _visit_of(
    request: HttpRequest | None, *, item: Any, items: Sequence[Any] | None, leave_out: Any
) -> Visit:
    catalogue = get_catalogue()
    tracker: Tracker | None = getattr(request, "sessrec", None)
    current = _current(item, tracker, catalogue)
    left_out: tuple[str, ...] = ()
    if given := listed(leave_out):
        with isolated("tell the ids that a list leaves out"):
            left_out = tuple(catalogue.ids_of(given))
    if tracker is None or tracker.answered:  # its headers have left: it can't be marked private any more
        return Visit(current=current, left_out=left_out)
    session_id = tracker.own_session_id
    if session_id is None:
        return Visit(current=current, left_out=left_out)
    tracker.keep_private()
    events = _events_of(tracker, session_id)
    basket: list[str] | None = None
    if catalogue.has_basket:
        with isolated("ask the shop for its basket"):
            basket = catalogue.basket(request)
    visit = visit_from_events(session_id, events, current=current, basket=basket, left_out=left_out)
    if items is None:
        return visit
    return _by_client(visit, _as_text("items", items)[-MAX_SESSION_ITEMS:], events)


def _by_client(visit: Visit, items: Sequence[str], events: Sequence[SessionEvent]) -> Visit:
    """The visit with what the client says was viewed.

    Of that, what is stored from before the purchase came before it, unless it is stored from after it, too.
    """
    if not visit.purchases:
        return replace(visit, items=items)
    last = max(n for n, each in enumerate(events) if each.name == EventName.PURCHASE)
    before = {each.item_id for each in events[:last]} | {*visit.purchases}
    since = (*visit.since_purchase, *(each for each in items if each not in before))
    return replace(visit, items=items, since_purchase=tuple(dict.fromkeys(since)))


def stored_visit(session_id: UUID, *, at: datetime | None = None) -> Visit:
    """The visit as its page of that moment saw it, for a preview, a replay or a test; needs no request.

    at: aware, by default now. The last item clicked until then is on screen; a merchant's rules count by
        their dates at that moment.

    Raises ValueError for a time without a zone, django.db.Error where the database does not answer in time.
    """
    if at is not None and timezone.is_naive(at):
        raise ValueError(f"at = {at!r} has no time zone")
    events = session_events(session_id, until=at)
    clicks = [each.item_id for each in events if each.name in CLICK_EVENTS]
    return visit_from_events(session_id, events, current=clicks[-1] if clicks else "", at=at)


def visit_from_events(
    session_id: UUID,
    events: Sequence[SessionEvent],
    *,
    current: str,
    at: datetime | None = None,
    basket: Sequence[str] | None = None,
    left_out: Sequence[str] = (),
) -> Visit:
    """The visit after these events of a session, oldest first, with `current` on screen.

    basket: the shop's own; by default what these events leave in it
    """
    told, purchases = _basket_and_purchases(events)
    return Visit(
        items=tuple(each.item_id for each in events if each.name in CLICK_EVENTS)[-MAX_SESSION_ITEMS:],
        current=current,
        basket=told if basket is None else tuple(basket[-MAX_BASKET_LINES:]),
        purchases=purchases,
        since_purchase=_since_purchase(events),
        session_id=session_id,
        consent=SESSION,
        at=at or timezone.now(),
        left_out=left_out,
    )


def named_categories(given: Any) -> tuple[str, ...]:
    """One category or several as text; an object of the shop is its primary key."""
    return tuple(str(getattr(each, "pk", each)) for each in listed(given)[:MAX_CATEGORIES])


def listed(given: Any) -> Sequence[Any]:
    """One thing or several, as templates name them; nothing for None and an empty text."""
    if isinstance(given, list | tuple):
        return given
    if given is None or given == "":
        return ()
    return [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)


def group_of(request: HttpRequest | None) -> str:
    """The customer's group as SESSREC["CUSTOMER_GROUP"] tells it; empty where there is none.

    From here on the response is private: another group's customer may get another list. One whose headers
    have left can't be marked private any more, so nobody has a group there.
    """
    asked = sessrec_settings.imported("CUSTOMER_GROUP")
    if asked is None or request is None:
        return ""
    tracker: Tracker | None = getattr(request, "sessrec", None)
    if tracker is not None:
        if tracker.answered:
            return ""
        tracker.keep_private()
    with isolated("tell the customer's group"):
        return str(asked(request) or "")
    return ""


def _current(item: Any, tracker: Tracker | None, catalogue: TextCatalogue) -> str:
    """The id of the item on screen; what names no item is logged, and counts as none."""
    if item is not None and item != "":
        try:
            return catalogue.id_of(item)
        except Exception as error:
            if not swallowed("tell the id of the item on screen", error):
                raise
    return (tracker.current_item if tracker else None) or ""


def _events_of(tracker: Tracker, session_id: UUID) -> list[SessionEvent]:
    """The session's events, with those of this request, which are not stored yet."""
    stored: list[SessionEvent] = []
    if not tracker.begins_session:
        try:
            stored = session_events(session_id)
        except Exception as error:  # after which it goes back to a savepoint of its own
            swallowed("read the session's events", error, savepoints=True)
    pending = [
        SessionEvent(str(each.event_id), each.name, each.item_id, each.quantity) for each in tracker.pending
    ]
    return stored + pending


def _basket_and_purchases(events: Iterable[SessionEvent]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is in the basket after these events, and what was bought, each item once."""
    basket: Counter[str] = Counter()
    purchases: dict[str, None] = {}
    for each in events:
        if each.name == EventName.ADD_TO_CART:
            basket[each.item_id] += each.quantity
        elif each.name == EventName.REMOVE_FROM_CART:
            basket[each.item_id] = max(0, basket[each.item_id] - each.quantity)  # maybe put in before
        elif each.name == EventName.PURCHASE:
            basket[each.item_id] = 0
            purchases[each.item_id] = None
    return tuple(item_id for item_id, quantity in basket.items() if quantity > 0), tuple(purchases)


def _since_purchase(events: Sequence[SessionEvent]) -> tuple[str, ...]:
    """Items clicked after the latest purchase; none where there is no purchase."""
    last = max((n for n, each in enumerate(events) if each.name == EventName.PURCHASE), default=len(events))
    return tuple(each.item_id for each in events[last:] if each.name in CLICK_EVENTS)
