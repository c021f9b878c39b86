"""What is stored of a session, as staff reads it: its events and lists in order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from django_sessrec import database
from django_sessrec.admin.formatting import whole
from django_sessrec.admin.products import ShownProduct, shown_products
from django_sessrec.admin.words import placement_name, reason_name, step_name
from django_sessrec.capture.cookie import CLOCK_SKEW, LONGEST_SESSION
from django_sessrec.capture.event import CLICK_EVENTS
from django_sessrec.ids import time_of
from django_sessrec.models import Event, EventName, Impression, Quarantine, Withdrawal

MOST_EVENTS, MOST_LISTS = 200, 50
LATEST = 20  # sessions offered
LOOKED_AT = 2_000  # newest events among which they are found
ENDS_AT = 6  # characters of an id that tell sessions apart on a page


@dataclass(frozen=True, slots=True)
class Shown:
    """An item of a list, why it stood there, and what the visitor did with it."""

    product: ShownProduct
    why: str
    clicked: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, or one list with its items."""

    at: datetime
    what: str
    product: ShownProduct | None = None
    note: str = ""
    items: Sequence[Shown] = field(default=())


def end_of(session_id: UUID) -> str:
    """How pages and the audit trail name a session."""
    return str(session_id)[-ENDS_AT:]


def timeline(session_id: UUID) -> tuple[list[Entry], list[str]]:
    """The session's first events and lists, none where nothing of it is stored; and how many are left out."""
    in_order = _of(Event, "occurred_at", session_id).order_by("occurred_at", "event_id")
    shown = _of(Impression, "shown_at", session_id).select_related("run").order_by("shown_at")
    with database.values_apart():
        events, impressions = list(in_order[:MOST_EVENTS]), list(shown[:MOST_LISTS])
        every_event = in_order.count() if len(events) == MOST_EVENTS else len(events)
        every_list = shown.count() if len(impressions) == MOST_LISTS else len(impressions)
    ids = [event.item_id for event in events if event.item_id]
    products = shown_products([*ids, *(item for each in impressions for item in each.item_ids)])
    clicked = {
        (event.impression_id, event.item_id) for event in events if event.name == EventName.SELECT_ITEM
    }
    entries = [_of_event(event, products) for event in events]
    entries += [_of_impression(each, products, clicked) for each in impressions]
    left_out = []
    if every_event > len(events):
        words = {"shown": whole(len(events)), "all": whole(every_event)}
        left_out.append(_("Only the first %(shown)s of %(all)s events are shown.") % words)
    if every_list > len(impressions):
        words = {"shown": whole(len(impressions)), "all": whole(every_list)}
        left_out.append(_("Only the first %(shown)s of %(all)s lists are shown.") % words)
    return sorted(entries, key=lambda entry: entry.at), left_out


def _of(model: type[Any], field_name: str, session_id: UUID) -> QuerySet[Any]:
    """The session's rows; where its id carries its time, in the days that it may have."""
    rows: QuerySet[Any] = model.objects.filter(session_id=session_id)
    if session_id.version != 7:
        return rows  # an import's
    began = time_of(session_id)
    bounds = {
        f"{field_name}__gte": began - CLOCK_SKEW,
        f"{field_name}__lte": began + LONGEST_SESSION + CLOCK_SKEW,
    }
    return rows.filter(**bounds)


def _of_event(event: Event, products: dict[str, ShownProduct]) -> Entry:
    note = ""
    if event.price is not None:
        note = f"{event.quantity} \N{MULTIPLICATION SIGN} {event.price} {event.currency}".rstrip()
    return Entry(event.occurred_at, event.get_name_display(), products.get(event.item_id), note)


def _of_impression(
    impression: Impression, products: dict[str, ShownProduct], clicked: set[tuple[UUID | None, str]]
) -> Entry:
    reasons = [*impression.reasons, *([""] * len(impression.item_ids))]
    items = [
        Shown(products[item_id], reason_name(why), (impression.impression_id, item_id) in clicked)
        for item_id, why in zip(impression.item_ids, reasons, strict=False)
    ]
    note = str(impression.run or impression.model or step_name(impression.step))
    if impression.variant:
        note = _("%(by)s, variant %(variant)s") % {"by": note, "variant": impression.variant}
    what = _("list shown: %(placement)s") % {"placement": placement_name(impression.placement)}
    return Entry(impression.shown_at, what, note=note, items=items)


def state_of(session_id: UUID, *, stored: bool) -> str:
    """Whether the session counts, and if not, why; empty where nothing is known of it."""
    with database.values_apart():
        held = Quarantine.objects.filter(pk=session_id, released_at=None).first()
        withdrawn = Withdrawal.objects.filter(pk=session_id).exists()
        of_a_bot = _of(Event, "occurred_at", session_id).filter(bot=True).exists()
    if held is not None:
        return _("In quarantine: %(reason)s.") % {"reason": held.get_reason_display()}
    if withdrawn:
        return _("Its consent was withdrawn, or it was erased.")
    if of_a_bot:
        return _("A bot's: left out of training and reports.")
    return _("With consent; it counts in training and reports.") if stored else ""


def latest_sessions() -> list[dict[str, Any]]:
    """The newest sessions of people: clicks among the newest LOOKED_AT, time and last product."""
    newest = Event.objects.filter(
        bot=False, name__in=CLICK_EVENTS, occurred_at__gte=timezone.now() - timedelta(days=2)
    )
    columns = ("session_id", "occurred_at", "item_id")
    clicks: dict[UUID, list[tuple[datetime, str]]] = {}
    for session_id, at, item_id in newest.order_by("-event_id").values_list(*columns)[:LOOKED_AT]:
        clicks.setdefault(session_id, []).append((at, item_id))
    latest = list(clicks.items())[:LATEST]
    products = shown_products(of_session[0][1] for _session_id, of_session in latest)
    return [
        {
            "id": str(session_id),
            "end": end_of(session_id),
            "clicks": len(of_session),
            "at": of_session[0][0],
            "product": products[of_session[0][1]],
        }
        for session_id, of_session in latest
    ]
