"""POST events/: events of the visitor's browser."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, NamedTuple
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from django_sessrec.api.exceptions import Malformed
from django_sessrec.api.openapi import documented
from django_sessrec.api.serializers import EventsAnswer, EventsBody, problems
from django_sessrec.api.views import MAX_BODY, SessrecView, ShopJSON, read_json, tracker_of
from django_sessrec.capture import request_filters, store
from django_sessrec.capture.buffers import Rejected
from django_sessrec.capture.event import CLOCK_SKEW, NAMES, EventError, make, readable_id
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.rec_id import verify
from django_sessrec.capture.sensitive import sensitive_among
from django_sessrec.conf import sessrec_settings
from django_sessrec.ids import moved, seen_id
from django_sessrec.models import Event, EventName, Source

MAX_EVENTS = 50
OLDEST = timedelta(hours=24)  # how late a browser that was offline may deliver
SERVER_ONLY = {EventName.PURCHASE, EventName.REFUND}
OF_A_LIST = {EventName.SELECT_ITEM, EventName.VIEW_ITEM_LIST}
ENVELOPE = 'an event is {"event_id", "event", "items": [{"item_id"}]} with one item'
KEPT_FIELDS = ("event_id", "event", "rec_id", "currency")
KEPT_ITEM_FIELDS = ("item_id", "index", "price", "quantity")
KEPT_CHARACTERS = 200


class Rejection(NamedTuple):
    """An event of the request that is not taken."""

    place: int  # among those of the request, 0 is the first
    code: str
    detail: str = ""


class EventsView(SessrecView):
    rate_setting = "THROTTLE_EVENTS"
    browsers_only = True
    plain_method = "POST"

    def plain(self, request: HttpRequest) -> HttpResponse | None:
        length = request.META.get("CONTENT_LENGTH") or ""
        if not length.isdecimal() or not 0 < int(length) <= MAX_BODY or not self.admits(request):
            return None
        return ShopJSON.response(_recorded(request, read_json(request.body)), HTTPStatus.ACCEPTED)

    @documented(
        operation_id="events",
        summary="Record what happened in the browser",
        description=(
            "At most 50 events and 48 KB. The visit comes from the cookie, and the event's time from its id, "
            "a UUID of version 7 that is at most 24 hours old: the same id twice is one event. A select_item "
            "and a view_item_list need the rec_id of their list, and a list is seen once. Purchases and "
            "refunds come from the shop's server only. A wrong event costs no other one. Without consent "
            "nothing is kept: every event is answered no_consent. Events of a bot's user agent, or of a "
            "library's, are stored, answered with bot, and left out of training and reports: an app sends an "
            "Origin that TRUSTED_ORIGINS names."
        ),
        request=EventsBody,
        responses={202: EventsAnswer, **problems(400, 413)},
        examples=[
            OpenApiExample(
                "One event stored, one refused",
                value={"accepted": 1, "duplicates": 0, "rejected": [{"index": 1, "code": "rec_id"}]},
                response_only=True,
                status_codes=["202"],
            )
        ],
    )
    def post(self, request: Request) -> Response:
        return Response(_recorded(request._request, request.data), status=HTTPStatus.ACCEPTED)


def _recorded(request: HttpRequest, body: Any) -> dict[str, Any]:
    """Record the body's events; what the answer says of them."""
    given = _events_of(body)
    tracker = tracker_of(request)
    if tracker is None or tracker.own_session_id is None:
        return _answer(0, 0, [Rejection(index, "no_consent") for index in range(len(given))])
    if not request_filters.counts(request):
        return _answer(0, 0, [Rejection(index, "not_counted") for index in range(len(given))])
    bot, ahead = request_filters.from_bot(request), _clock_ahead(body)
    events, refusals = _read(given, tracker.own_session_id, bot=bot, ahead=ahead)
    tracker.touch()  # the visit goes on, or begins
    written = outbox.deliver(list(events.values())) if events else store.WriteResult()
    if written is None:  # a task stores them later
        return _answer(len(events), 0, refusals, bot=bot)
    if written.withdrawn:
        tracker.end()
    if code := "withdrawn" if written.withdrawn else "not_kept" if written.lost else "":
        refusals += [Rejection(index, code) for index in events]
    return _answer(written.stored, written.duplicate, refusals, bot=bot)


def _events_of(body: Any) -> list[Any]:
    """The envelope's events, as they came."""
    events = body.get("events") if isinstance(body, Mapping) else None
    if not isinstance(events, list):
        raise Malformed('The body is not {"events": [..]}.')
    if len(events) > MAX_EVENTS:
        raise Malformed(f"{len(events)} events are too many: send at most {MAX_EVENTS} at once.", "too_many")
    return events


def _clock_ahead(body: Any) -> timedelta:
    """How far the browser's clock is ahead of ours, by sent_at: whole steps of twice CLOCK_SKEW.

    What is left is at most CLOCK_SKEW, and events that are sent again within seconds get the same ids. 0
    where sent_at lies behind: so does that of a body that is sent again later, whose ids must stay.
    """
    try:
        ahead = datetime.fromisoformat(body["sent_at"]) - datetime.now(UTC)
    except (KeyError, TypeError, ValueError):  # no time, or one without its zone
        return timedelta(0)
    return max(0, round(ahead / (2 * CLOCK_SKEW))) * 2 * CLOCK_SKEW


def _read(
    given: list[Any], session_id: UUID, *, bot: bool, ahead: timedelta
) -> tuple[dict[int, Event], list[Rejection]]:
    """The events that may be stored, by their index, and why the others may not; those are kept."""
    events, refusals = {}, []
    for index, each in enumerate(given):
        try:
            events[index] = _event(each, session_id, bot=bot, ahead=ahead)
        except EventError as problem:
            refusals.append(Rejection(index, problem.code, str(problem)))
    _keep(given, refusals, session_id)
    sensitive = sensitive_among({event.item_id for event in events.values()})
    left_out = [index for index, event in events.items() if event.item_id in sensitive]
    for index in left_out:
        del events[index]
    return events, refusals + [Rejection(index, "not_counted") for index in left_out]


def _event(given: Any, session_id: UUID, *, bot: bool, ahead: timedelta) -> Event:
    """One event of the envelope; EventError says what is wrong."""
    if not isinstance(given, Mapping):
        raise EventError("items", ENVELOPE)
    name = NAMES.get(_text(given, "event"))
    if name in SERVER_ONLY:
        raise EventError("server_only", f"{name} is recorded by the shop's server: request.sessrec.record")
    max_age = timedelta(hours=sessrec_settings.ATTRIBUTION_HOURS)
    rec_id = _text(given, "rec_id")
    impression_id = verify(rec_id, session_id, max_age) if rec_id else None
    if name in OF_A_LIST and impression_id is None:
        raise EventError("rec_id", f"rec_id {rec_id!r} is not of a list that this visit was shown lately")
    event_id = _event_id(_text(given, "event_id"), ahead)
    item: Mapping[str, Any] = {}
    if (
        name == EventName.VIEW_ITEM_LIST and impression_id
    ):  # whatever items it names: the impression knows them
        event_id = seen_id(impression_id)
    else:
        item = _item(given)
    item_id, quantity = item.get("item_id"), item.get("quantity")
    event = make(
        _text(given, "event"),
        "" if item_id is None else item_id,
        session_id=session_id,
        quantity=1 if quantity is None else quantity,
        price=item.get("price"),
        currency=_text(given, "currency"),
        impression_id=impression_id,
        position=item.get("index"),
        event_id=event_id,
        source=Source.BROWSER,
        bot=bot,
    )
    if event.occurred_at < datetime.now(UTC) - OLDEST:
        raise EventError("time", f"event {event.event_id} is older than {OLDEST}")
    return event


def _item(given: Any) -> Mapping[str, Any]:
    """The one item of an event; a search or a category has none."""
    items = given.get("items")
    if items is None:
        items = []
    if not isinstance(items, list) or len(items) > 1 or not all(isinstance(each, Mapping) for each in items):
        raise EventError("items", ENVELOPE)
    item = items[0] if items else {}
    for field in ("item_id", "price"):
        if not isinstance(item.get(field), str | int | float | None) or isinstance(item.get(field), bool):
            kind = type(item[field]).__name__
            raise EventError(field, f"{field} of type {kind} is neither text nor a number")
    return item


def _text(given: Mapping[str, Any], field: str) -> str:
    value = given.get(field) or ""
    if not isinstance(value, str):
        raise EventError(field, f"{field} {str(value)[:40]!r} is not text")
    return value


def _event_id(text: str, ahead: timedelta) -> UUID:
    """The event's id, of the time that our own clock had."""
    try:
        return moved(UUID(text), -ahead)
    except ValueError:
        raise EventError("event_id", f"event_id {text[:40]!r} is not a UUID of version 7") from None


def _keep(given: list[Any], refusals: list[Rejection], session_id: UUID) -> None:
    """Keep what was refused, the known fields only: whatever else a page sends may be about a person."""
    outbox.reject(
        [
            Rejected(_known(given[index], session_id), code, _storable(detail))
            for index, code, detail in refusals
        ]
    )


def _known(given: Any, session_id: UUID) -> dict[str, Any]:
    event = given if isinstance(given, Mapping) else {}
    items = event.get("items")
    item = items[0] if isinstance(items, list) and items and isinstance(items[0], Mapping) else {}
    kept = {field: _storable(event[field]) for field in KEPT_FIELDS if field in event}
    list_id = event.get("item_list_id")
    if isinstance(list_id, str) and list_id in sessrec_settings.PLACEMENTS:  # else the sender's own text
        kept["item_list_id"] = list_id
    if "item_id" in item:
        item = {**item, "item_id": readable_id(item["item_id"])}
    kept |= {field: _storable(item[field]) for field in KEPT_ITEM_FIELDS if field in item}
    return {**kept, "session_id": str(session_id)}


def _storable(value: Any) -> str:
    """Text that Postgres takes: no NUL, no half of a surrogate pair, and not too much of it."""
    text = str(value)[:KEPT_CHARACTERS].encode("utf-8", "replace").decode()
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _answer(
    accepted: int, duplicates: int, refusals: list[Rejection], *, bot: bool = False
) -> dict[str, Any]:
    rejected = [{"index": index, "code": code} for index, code, _detail in sorted(refusals)]
    body: dict[str, Any] = {"accepted": accepted, "duplicates": duplicates, "rejected": rejected}
    if bot:
        body["bot"] = True
    return body
