"""One placement on one page, filled: what tags, placeholders and the REST view show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from django_sessrec.capture.consent import CONTEXTUAL, SESSION
from django_sessrec.capture.event import CLICK_EVENTS
from django_sessrec.capture.rec_id import sign
from django_sessrec.capture.session_events import session_events
from django_sessrec.catalogue import Catalogue, get_catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.ids import time_of, uuid7
from django_sessrec.models import Impression
from django_sessrec.safety import isolated
from django_sessrec.serving import experiments, links
from django_sessrec.serving.fallback import BY_HAND, MODEL, PINNED, SPONSORED, Candidate, Question, climb_down
from django_sessrec.serving.rules import Chosen, choose

MAX_LIMIT = 100  # of a list that a client may ask for
DEPTH = 4  # times the slot that each model is asked for
HEARD = 50  # newest clicks of a visit: no model listens further back
NOBODY = Candidate("", PINNED, "pinned")  # answered: only pinned items are shown, or none


@dataclass(frozen=True, slots=True)
class SlotItem:
    """One item of a list. `fields` is JSON-able but for the shop's own types: title, url, image, price."""

    item_id: str
    item: Any  # the shop's object
    position: int  # 1 is the first
    score: float | None
    step: str
    reason: str
    because: tuple[str, ...]  # ids of the clicked items that spoke for it
    because_title: str  # of the strongest of them that may be shown
    url: str  # the item's page; names the impression where there is one
    fields: Mapping[str, Any]

    @property
    def pinned(self) -> bool:
        return self.step == PINNED

    @property
    def sponsored(self) -> bool:
        """Whether somebody pays for it: a template that hides this fails a check."""
        return self.step == SPONSORED


@dataclass(frozen=True, slots=True)
class Slot:
    """What a placement shows once. Empty where nothing could be said; never half-filled on an error."""

    placement: str
    title: str = ""
    items: list[SlotItem] = field(default_factory=list)
    impression_id: UUID | None = None
    rec_id: str | None = None  # signed impression; None at the contextual level
    personalised: bool = False  # whether the visit's clicks had a say
    consent: str = CONTEXTUAL
    model: str = ""
    run_id: int | None = None
    step: str = ""  # the one that answered first
    experiment: str = ""
    variant: str = ""
    template: str = ""


def fill(
    request: HttpRequest | None,
    placement: str,
    *,
    item_id: Any = None,
    item_ids: Sequence[Any] | None = None,
    limit: int | None = None,
) -> Slot:
    """The placement's list for this visit; never raises, an error is logged and leaves the slot emptier.

    item_id:  the item on screen, an id or the shop's object
    item_ids: the visit's items, oldest first, from a client that keeps them itself; heard with consent only
    """
    with isolated(f"fill the placement {placement!r}"):
        return _filled(request, placement, item_id, item_ids, limit)
    return Slot(placement)


afill = sync_to_async(fill)
"""`fill` for async views, which then hand the slot to their template."""


def rendered(slot: Slot, request: HttpRequest | None) -> SafeString:
    """The slot's HTML by the placement's template, which gets `slot` and `request`; empty on any error.

    Without context processors: the page has run the shop's already, and they may cost queries.
    """
    with isolated(f"render {slot.template!r} for the placement {slot.placement!r}"):
        if slot.items:
            return render_to_string(slot.template, {"slot": slot, "request": request})
    return mark_safe("")


def id_of(item: Any, catalogue: Catalogue) -> str:
    """The id of what a tag or a client named: an id already, or the shop's own object."""
    if item is None or isinstance(item, str | int | UUID):
        return "" if item is None else str(item)
    return catalogue.item_id(item)


def _filled(
    request: HttpRequest | None,
    placement: str,
    item_id: Any,
    item_ids: Sequence[Any] | None,
    limit: int | None,
) -> Slot:
    tracker = getattr(request, "sessrec", None)
    session_id = tracker.session_id if tracker else None
    consent = tracker.level if tracker else CONTEXTUAL
    experiment, variant, overrides = experiments.variant(placement, session_id)
    settings = {**sessrec_settings.placement(placement), **overrides}
    limit = max(1, min(limit or settings["LIMIT"], MAX_LIMIT))
    catalogue = get_catalogue()

    current = id_of(item_id, catalogue) or (tracker.current_item if tracker else None) or ""
    visit = _visit(tracker, item_ids) if consent == SESSION else []
    session = _heard(visit, current, catalogue)
    chosen = choose(
        climb_down(Question(session, settings["MODELS"], limit * DEPTH), catalogue),
        limit,
        placement=settings,
        hidden={current, *(visit if settings["HIDE_VIEWED"] else ())},
        catalogue=catalogue,
        request=request,
    )
    impression_id = uuid7() if session_id and chosen else None
    rec_id = sign(impression_id, session_id) if impression_id else None
    answer = next((each.candidate for each in chosen if each.candidate.step not in BY_HAND), NOBODY)
    slot = Slot(
        placement,
        title=str(settings["TITLE"] or _("You may also like")),
        items=[_item(each, n, rec_id, catalogue, request) for n, each in enumerate(chosen, 1)],
        impression_id=impression_id,
        rec_id=rec_id,
        personalised=consent == SESSION and any(each.candidate.because for each in chosen),
        consent=consent,
        model=answer.model if answer.step == MODEL else "",
        run_id=answer.run_id if answer.step == MODEL else None,
        step=answer.step,
        experiment=experiment,
        variant=variant,
        template=settings["TEMPLATE"],
    )
    if impression_id:
        tracker.show(_impression(slot, session_id))
    return slot


def _visit(tracker: Any, item_ids: Sequence[Any] | None) -> list[str]:
    """The visit's items, oldest first, with the click that made this page, which is not stored yet."""
    if item_ids is not None:
        return [str(item_id) for item_id in item_ids[-HEARD:]]
    stored: list[str] = []
    with isolated("read the visit's items"):
        events = session_events(tracker.session_id)
        stored = [event.item_id for event in events if event.name in CLICK_EVENTS][-HEARD:]
    return stored + [event.item_id for event in tracker.pending if event.name in CLICK_EVENTS]


def _heard(visit: Sequence[str], current: str, catalogue: Catalogue) -> list[str]:
    """What the models may hear: the visit with the item on screen last, without sensitive items."""
    session = [*visit, current] if current and current not in visit[-1:] else list(visit)
    sensitive = catalogue.sensitive(set(session)) if session else ()
    return [item_id for item_id in session if item_id not in sensitive]


def _impression(slot: Slot, session_id: UUID) -> Impression:
    """The row that remembers what was shown."""
    return Impression(
        impression_id=slot.impression_id,
        shown_at=time_of(slot.impression_id),
        session_id=session_id,
        placement=slot.placement,
        model=slot.model,
        run_id=slot.run_id,
        step=slot.step,
        experiment=slot.experiment,
        variant=slot.variant,
        item_ids=[each.item_id for each in slot.items],
        reasons=[each.reason for each in slot.items],
    )


def _item(
    chosen: Chosen, position: int, rec_id: str | None, catalogue: Catalogue, request: HttpRequest | None
) -> SlotItem:
    candidate = chosen.candidate
    fields = catalogue.describe(chosen.item, request)
    reason = chosen.because[0] if chosen.because else None
    return SlotItem(
        item_id=candidate.item_id,
        item=chosen.item,
        position=position,
        score=candidate.score,
        step=candidate.step,
        reason=candidate.reason,
        because=candidate.because,
        because_title=str(catalogue.describe(reason, request)["title"]) if reason is not None else "",
        url=links.tagged(fields["url"], rec_id, position) if rec_id else fields["url"],
        fields=fields,
    )
