"""request.sessrec: what the shop tells about this request, and what becomes of it once it is answered."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control
from django.utils.functional import cached_property

from django_sessrec.capture import consent, cookie, request_filters, session_limit
from django_sessrec.capture.buffers import Rejected
from django_sessrec.capture.event import MAX_POSITION, EventError, clean_item_id, make
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.rec_id import verify
from django_sessrec.catalogue import get_catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, EventName, Impression, Source
from django_sessrec.safety import never_raises

LINK = "sessrec"  # the argument of a recommended product's link: <rec_id>.<position>

logger = logging.getLogger("django_sessrec")


class Tracker:
    """One request's capture. Reads its own cookie only, and everything lazily: most pages need none of it."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._impressions: list[Impression] = []
        self._refused: list[Rejected] = []
        self._withdrawn = self._touched = self._private = self._settled = False
        self.pending: list[Event] = []  # recorded, and written once the response is made

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
    @never_raises("tell the visit's id", default=None)
    def session_id(self) -> UUID | None:
        """The visit's id, a new one where the request brought none; None under contextual.

        A client that begins visit after visit is contextual from its bound on: ask for the level after this.
        """
        return self._session_id if self.level == consent.SESSION else None

    @cached_property
    def _session_id(self) -> UUID | None:
        session_id = cookie.read(self._request)
        if session_id is None and not session_limit.may_begin(self._request):
            self.level = consent.CONTEXTUAL
            return None
        return session_id or uuid7()

    @cached_property
    def current_item(self) -> str | None:
        """The item of this page, where its view is one of TRACKED_VIEWS."""
        match = self._request.resolver_match
        argument = sessrec_settings.TRACKED_VIEWS.get(match.view_name) if match else None
        if argument is None or argument not in match.kwargs:
            return None
        try:
            return clean_item_id(match.kwargs[argument])
        except EventError:
            return None

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
        source: str = Source.SERVER,
    ) -> None:
        """Record what happened to an item; written once the response is made.

        Inside a transaction it counts when that commits, and is gone when it rolls back. Never raises for
        a value: a wrong one is logged and kept as a failed event, and the shop goes on.
        """
        if self.session_id is None:
            return
        given = {"quantity": quantity, "price": price, "currency": currency, "position": position}
        try:
            event = make(
                name,
                item_id,
                session_id=self.session_id,
                impression_id=impression_id,
                event_id=event_id,
                source=source,
                **given,
            )
        except EventError as problem:
            logger.warning("request.sessrec.record: %s", problem)
            given |= {"name": name, "item_id": item_id, "session_id": self.session_id}
            payload = {field: str(value)[:200] for field, value in given.items()}
            self._refused.append(Rejected(payload, problem.code, str(problem)))
            return
        if alias := _open_transaction():
            transaction.on_commit(partial(self._accept, event), using=alias)
        else:
            self._accept(event)

    def show(self, impression: Impression) -> None:
        """Queue an impression; written once the response is made."""
        self._impressions.append(impression)

    def touch(self) -> None:
        """Let the response carry the session's cookie though nothing is pending."""
        self._touched = True

    def keep_private(self) -> None:
        """Let no shared cache keep the response: it tells the visitor's own choice."""
        self._private = True

    @never_raises("withdraw consent", default=None)
    def withdraw(self) -> None:
        """Withdraw consent: with this response the cookie goes and the session's rows are deleted."""
        self._withdrawn = True
        self.level = consent.CONTEXTUAL
        self._drop()

    @property
    @never_raises("tell whether a page is captured", default=False)
    def concerned(self) -> bool:
        """Whether settle() has anything to do; asked for every response, so it costs next to nothing."""
        return bool(
            self.current_item is not None
            or self.pending
            or self._impressions
            or self._refused
            or self._withdrawn
            or self._touched
            or self._private
        )

    @never_raises("capture what a page did", default=None)
    def settle(self, response: HttpResponseBase) -> None:
        """After the response is made: write, and give or take the cookie. Never raises."""
        if self._private:
            patch_cache_control(response, private=True)
        if self._withdrawn or self._consent_ended():
            self._forget(response)
            return
        if self.session_id is None or not request_filters.counts(self._request):
            self._drop()
            return
        if response.status_code == HTTPStatus.OK and self._request.method == "GET" and self.current_item:
            self._note_view(self.current_item)
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._impressions.clear()
        self._leave_out_sensitive()
        if self.pending or self._impressions or self._touched:
            cookie.write(self._request, response, self.session_id)
        self._flush()
        self._settled = True

    def _note_view(self, item_id: str) -> None:
        """The view, and before it the click on a recommendation that led here."""
        if self._request.META.get("QUERY_STRING"):
            self._note_click(item_id)
        self.pending.append(make(EventName.VIEW_ITEM, item_id, session_id=self.session_id))

    def _note_click(self, item_id: str) -> None:
        """The click on a recommendation, if the link proves one."""
        rec_id, _, position = self._request.GET.get(LINK, "").rpartition(".")
        max_age = timedelta(hours=sessrec_settings.ATTRIBUTION_HOURS)
        impression_id = verify(rec_id, self.session_id, max_age) if rec_id else None
        if impression_id and position.isascii() and position.isdecimal() and int(position) <= MAX_POSITION:
            click = {"impression_id": impression_id, "position": int(position)}
            self.pending.append(make(EventName.SELECT_ITEM, item_id, session_id=self.session_id, **click))

    @never_raises("take an event whose transaction committed", default=None)
    def _accept(self, event: Event) -> None:
        self.pending.append(event)
        if self._settled:  # its transaction committed after the response was made
            self._leave_out_sensitive()
            self._flush()

    def _leave_out_sensitive(self) -> None:
        if self.pending:
            sensitive = set(get_catalogue().sensitive({event.item_id for event in self.pending}))
            self.pending[:] = [event for event in self.pending if event.item_id not in sensitive]

    def _flush(self) -> None:
        """Hand over what is queued."""
        events, impressions, refused = [*self.pending], [*self._impressions], [*self._refused]
        self._drop()
        bot = request_filters.from_bot(self._request)
        for row in (*events, *impressions):
            row.bot = bot
        if events or impressions:
            outbox.deliver(events, impressions)
        outbox.reject(refused)

    def _drop(self) -> None:
        self.pending.clear()
        self._impressions.clear()
        self._refused.clear()

    def _consent_ended(self) -> bool:
        """Whether a visit that had begun is no longer consented to."""
        if self.level == consent.SESSION or cookie.presented(self._request) is None:
            return False
        return consent.refused(self._request)

    def _forget(self, response: HttpResponseBase) -> None:
        self._drop()
        session_id = cookie.presented(self._request)
        cookie.delete(self._request, response)
        if session_id is not None:
            outbox.erase(session_id)


def _open_transaction() -> str | None:
    """The database in whose transaction the shop's code now runs, if in any."""
    opened = (each for each in connections.all(initialized_only=True) if each.in_atomic_block)
    return next((each.alias for each in opened), None)
