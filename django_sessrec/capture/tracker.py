"""request.sessrec: the events of a request, written once the response is made."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import cached_property

from django_sessrec.capture import (
    browser_views,
    consent,
    cookie,
    followed_link,
    orders_without_session,
    request_filters,
    session_limit,
)
from django_sessrec.capture.awaited import in_a_thread
from django_sessrec.capture.buffers import Rejected
from django_sessrec.capture.event import NAMES, EventError, clean_item_id, make, readable_id
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.page_counts import count_page
from django_sessrec.capture.sensitive import sensitive_among
from django_sessrec.capture.shared_caches import keep_out_of_page_caches, keep_out_of_shared_caches
from django_sessrec.capture.shop_transaction import after_commit, in_transaction
from django_sessrec.conf import sessrec_settings
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, EventName, Impression, Source
from django_sessrec.safety import never_raises

SHOWN_TO_NOBODY = frozenset({"HEAD", "OPTIONS"})  # methods whose response nobody looks at
SHOW_NOTHING = frozenset(range(300, 400)) | frozenset(range(500, 600))  # redirects and failures

NO_SESSION: UUID | None = None

logger = logging.getLogger("django_sessrec")


class Tracker:
    """One request's capture. Reads its own cookie only, and everything lazily: most pages need none of it."""

    answered = False  # what is recorded from now on is written by itself, and begins no session
    begins_session = False  # this request brought none: nothing of it is stored yet
    left_to_browser = False  # the view of current_item: the script of a placeholder records it
    _withdrawn = _erased = _touched = _private = _viewed = _click_noted = _awaits_commit = False
    _cookie_given = False

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._impressions: list[Impression] = []
        self._refused: list[Rejected] = []
        self.on_page: dict[tuple[object, ...], list[str]] = {}  # items, by what asked for a list
        self.pending: list[Event] = []  # recorded, and written once the response is made
        self._order_ids: dict[UUID, str | int | None] = {}  # by event

    @cached_property
    @never_raises("tell the consent level", default=consent.CONTEXTUAL)
    def level(self) -> consent.Level:
        """ "contextual": nothing may be kept of this request; "session": events and a cookie may."""
        return consent.level(self._request)

    @property
    @never_raises("tell whether personalisation is switched off", default=False)
    def switched_off(self) -> bool:
        """Whether the visitor has switched personalisation off."""
        return cookie.switched_off(self._request)

    @property
    @never_raises("tell the session's id", default=NO_SESSION)
    def session_id(self) -> UUID | None:
        """The session's id, a new one where the request brought none; None under contextual.

        Keep it with an order whose payment is confirmed later, for `django_sessrec.events.record`. The
        response gives its cookie, without which nobody could erase it. None also where the request counts
        nowhere, as staff's.
        A client that begins more sessions than it may, a request for which the browser withholds the cookie,
        and one whose response is made are contextual from here on: ask for the level after this.
        """
        if self.own_session_id is None or not request_filters.may_count(self._request):
            return None
        self._touched |= self.begins_session
        self.keep_private()
        return self.own_session_id

    async def asession_id(self) -> UUID | None:
        """session_id for async views, which await it."""
        return await sync_to_async(lambda: self.session_id)()

    @property
    @never_raises("tell the session's id", default=NO_SESSION)
    def own_session_id(self) -> UUID | None:
        """The same for the app itself: nothing follows from asking."""
        if self.answered and self.begins_session and not self._cookie_given:
            self.level = consent.CONTEXTUAL  # nobody could erase what such a session kept
        return self._session_id if self.level == consent.SESSION else None

    @cached_property
    def _session_id(self) -> UUID | None:
        session_id = cookie.read(self._request)
        if session_id is None and (
            self.answered or cookie.withheld(self._request) or not session_limit.may_begin(self._request)
        ):
            self.level = consent.CONTEXTUAL
            return None
        self.begins_session = session_id is None
        return session_id or uuid7()

    @cached_property
    def current_item(self) -> str | None:
        """The item on screen: the one that view() named, or the URL's where TRACKED_VIEWS has this view."""
        match = self._request.resolver_match
        argument = sessrec_settings.TRACKED_VIEWS.get(match.view_name) if match else None
        if match is None or argument is None or argument not in match.kwargs:
            return None
        try:
            return clean_item_id(match.kwargs[argument])
        except EventError:
            return None

    @never_raises("record a view", default=None)
    def view(self, item: Any) -> None:
        """Record that this page shows an item, and the click on a recommendation that led to it.

        item: an item id or the shop's own object

        For views that TRACKED_VIEWS cannot name. Counts once per request, for the item named last, and only
        if the response is a success. Never raises: a wrong item is logged and kept as a failed event.
        """
        try:
            self.current_item = clean_item_id(item)
        except EventError as problem:
            self._refuse(problem, {"name": EventName.VIEW_ITEM.value, "item_id": item})
            return
        self._viewed = True

    @never_raises("record an event", default=None)
    def record(
        self,
        name: str,
        item_id: Any = "",
        *,
        quantity: int = 1,
        price: Any = None,
        currency: str = "",
        impression_id: UUID | None = None,
        position: int | None = None,
        event_id: UUID | None = None,
        order_id: str | int | None = None,
        line: str | int | None = None,
        source: str = Source.SERVER,
    ) -> None:
        """Record what happened to an item; written once the response is made.

        item_id: an item id or the shop's own object
        order_id: of a purchase or refund: a purchase told again, as by a page that is loaded again, counts
            once, and a refund is taken from it; each refund counts
        line: what tells apart an order's lines of one item, which are else one line, told twice

        Inside a transaction the event is written when that commits, even after the response, and is gone when
        it rolls back. Never raises: a wrong value is logged and kept as a failed event.
        """
        if self.own_session_id is None:
            if NAMES.get(name) == EventName.PURCHASE and consent.level(self._request) == consent.SESSION:
                logger.warning(
                    "A purchase is not recorded: this request brings no session and may not begin one. Keep "
                    "request.sessrec.session_id with the order and call django_sessrec.events.record"
                )
            amount = {"quantity": quantity, "price": price, "currency": currency}
            orders_without_session.count_told(
                self._request, name, item_id, order_id=order_id, line=line, **amount
            )
            return
        given = {"quantity": quantity, "price": price, "currency": currency, "position": position}
        try:
            if NAMES.get(name) == EventName.VIEW_ITEM and event_id is None:
                self._note_click(clean_item_id(item_id))  # before the view that it led to
            event = make(
                name,
                item_id,
                session_id=self.own_session_id,
                impression_id=impression_id,
                event_id=event_id,
                order_id=order_id,
                line=line,
                source=source,
                **given,
            )
        except EventError as problem:
            self._refuse(problem, given | {"name": name, "item_id": item_id})
            return
        self._order_ids[event.event_id] = order_id
        self._awaits_commit |= in_transaction()
        after_commit(partial(self._accept, event))

    aview = in_a_thread(view)
    arecord = in_a_thread(record)

    def show(self, impression: Impression) -> None:
        """Queue an impression; written once the response is made."""
        self._impressions.append(impression)

    def take_back(self, impression_id: UUID | None) -> None:
        """Take an impression out of the queue: its list could not be rendered."""
        self._impressions = [each for each in self._impressions if each.impression_id != impression_id]

    def touch(self) -> None:
        """Let the response carry the session's cookie though nothing is pending."""
        self._touched = True

    def end(self) -> None:
        """Let the response take the cookie back: the session was erased elsewhere, and gets no more rows."""
        self._erased = True

    def keep_private(self) -> None:
        """Keep the response out of shared caches: what it says is for this visitor only."""
        self._private = True
        keep_out_of_page_caches(self._request)

    @never_raises("withdraw consent", default=None)
    def withdraw(self) -> None:
        """Withdraw consent: with this response the cookie goes and the session's rows are deleted."""
        self._withdrawn = True
        self.level = consent.CONTEXTUAL
        self._drop()
        if self.answered:
            self._erase_rows()

    @property
    @never_raises("tell whether an earlier session stays", default=False)
    def earlier_session_stays(self) -> bool:
        """Whether the request brings a session that it adds nothing to, and that nobody has refused."""
        if self.own_session_id is not None or cookie.presented(self._request) is None:
            return False
        return not (self._withdrawn or consent.refused(self._request))

    @property
    @never_raises("tell whether consent must be asked", default=True)
    def must_ask_shop(self) -> bool:
        """Whether has_work calls CONSENT, which may block: not on the event loop."""
        return (
            sessrec_settings.CONSENT_BLOCKS
            and self.__dict__.get("level") != consent.SESSION
            and cookie.sent(self._request)
        )

    @property
    @never_raises("tell whether a page is captured", default=False)
    def has_work(self) -> bool:
        """Whether finish() has anything to do. Asked for every response.

        CONSENT is called last, and only where the visitor brings a session.
        """
        return bool(
            (self.current_item is not None and not self.left_to_browser)
            or self.pending
            or self._impressions
            or self._refused
            or self._withdrawn
            or self._touched
            or self._private
            or self._awaits_commit
            or self._consent_ended
        )

    @never_raises("capture what a page did", default=None)
    def finish(self, response: HttpResponseBase) -> None:
        """Write what the page did, and give or take the cookie. Never raises."""
        if self._private:
            keep_out_of_shared_caches(response)
        if self._withdrawn or self._consent_ended:
            self._end_session(response)
            return
        if self._request.method in SHOWN_TO_NOBODY or response.status_code in SHOW_NOTHING:
            self._impressions.clear()
        viewed = None if self.left_to_browser else self._seen_item(response)
        if not (viewed or self._touched or self._awaits_commit or self._has_rows):
            return
        captured = self.level == consent.SESSION and request_filters.counts(self._request)
        session_id = self.own_session_id if captured else None
        if viewed is not None:
            count_page(self._request, in_session=self.level == consent.SESSION, captured=captured)
        if session_id is None:
            self._drop()
            return
        if viewed is not None:
            self._note_click(viewed)
            self.pending.append(make(EventName.VIEW_ITEM, viewed, session_id=session_id))
        self._leave_out_sensitive()
        self._give_cookie(response, session_id)
        self._flush()
        if self._erased:
            cookie.delete(self._request, response)

    @never_raises("capture what a page did that nobody waited for", default=None)
    def finish_unseen(self) -> None:
        """Write what was recorded, and carry out a withdrawal, where the visitor left before the answer.

        Nobody saw the page or its lists, and no cookie arrives. Never raises.
        """
        self.answered = True
        if not self.has_work:
            return
        if self._withdrawn or self._consent_ended:
            self._drop()
            self._erase_rows()
            return
        self._impressions.clear()
        self._write_late()

    @property
    def _has_rows(self) -> bool:
        return bool(self.pending or self._impressions or self._refused)

    def _seen_item(self, response: HttpResponseBase) -> str | None:
        """The item that the visitor sees: of a page that was asked for, or that the view function named."""
        if response.status_code != HTTPStatus.OK or self._request.method in SHOWN_TO_NOBODY:
            return None
        item = self.current_item if self._viewed or self._request.method == "GET" else None
        return None if item is None or browser_views.is_marked(response, item) else item

    def _note_click(self, item_id: str) -> None:
        """The click on a recommendation that led to this page, if its link proves one."""
        if self._click_noted or not self._request.META.get("QUERY_STRING") or self.own_session_id is None:
            return
        self._click_noted = True
        if (click := followed_link.click(self._request, item_id, self.own_session_id)) is not None:
            self.pending.append(click)

    def _refuse(self, problem: EventError, given: dict[str, Any]) -> None:
        """Keep wrong input as a failed event, where anything may be kept."""
        logger.warning("request.sessrec: %s", problem)
        if self.own_session_id is None:
            return
        given |= {"item_id": readable_id(given["item_id"])}
        payload = {field: str(value)[:200] for field, value in given.items()}
        payload["session_id"] = str(self.own_session_id)
        self._refused.append(Rejected(payload, problem.code, str(problem)))
        if self.answered:
            self._flush()

    @never_raises("write an event whose transaction committed", default=None)
    def _accept(self, event: Event) -> None:
        self.pending.append(event)
        if self.answered:
            self._write_late()

    def _leave_out_sensitive(self) -> None:
        if self.pending:
            sensitive = sensitive_among({event.item_id for event in self.pending})
            self.pending[:] = [event for event in self.pending if event.item_id not in sensitive]

    def _flush(self) -> None:
        """Hand over what is queued."""
        events, impressions, refused = [*self.pending], [*self._impressions], [*self._refused]
        self._drop()
        bot = request_filters.from_bot(self._request)
        for event in events:
            event.bot = bot
        for impression in impressions:
            impression.bot = bot
        if events or impressions:
            written = outbox.deliver(events, impressions)
            if written is not None and written.withdrawn:
                self.end()
                self._count_orders(events)
        outbox.reject(refused)

    def _write_late(self) -> None:
        """Write what is queued where no response can bring a cookie any more."""
        if not request_filters.counts(self._request):
            self._drop()
            return
        self._leave_out_sensitive()
        if self.own_session_id is None:
            self._count_orders(self.pending)
            self._drop()
            return
        self._flush()

    def _count_orders(self, events: Sequence[Event]) -> None:
        """Let orders that no session keeps add to the shop's total, where the shop wants that."""
        for event in events:
            if orders_without_session.is_counted(event.name) and not request_filters.from_bot(self._request):
                orders_without_session.keep(event, self._order_ids.get(event.event_id))

    def _drop(self) -> None:
        self.pending.clear()
        self._impressions.clear()
        self._refused.clear()

    @cached_property
    def _consent_ended(self) -> bool:
        """Whether the request brings a session that is no longer consented to; asked after the view."""
        if not cookie.sent(self._request) or self.level == consent.SESSION:
            return False
        return consent.refused(self._request)

    def _give_cookie(self, response: HttpResponseBase, session_id: UUID) -> None:
        """Give the session's cookie, but not for wrong input alone, and count a session that begins."""
        given = self.pending or self._impressions or self._touched or self._awaits_commit
        if self.begins_session and (given or self._refused):
            session_limit.count_begun(self._request)
        if given:
            cookie.write(self._request, response, session_id)
            self._cookie_given = True

    def _end_session(self, response: HttpResponseBase) -> None:
        """Take the cookie back, and erase the rows that are stored of it."""
        self._drop()
        cookie.delete(self._request, response)
        self._erase_rows()

    def _erase_rows(self) -> None:
        begun = self._session_id if self._cookie_given else None
        if (session_id := cookie.presented(self._request) or begun) is not None:
            outbox.erase(session_id)
