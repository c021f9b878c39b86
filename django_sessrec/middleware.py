"""The middleware: attaches `request.sessrec`, and writes what was recorded once the response is made.

    MIDDLEWARE = [
        ...,  # sessions, authentication
        "django_sessrec.middleware.SessrecMiddleware",  # last
    ]

Last, so that it sees the view's own response, knows the user, and is inside of middlewares that cache pages.
It is sync and async. A page that is not tracked, records nothing and shows no list gets nothing from it: no
cookie, no header, no query. `request.sessrec` offers a view function:

- `view(item)`: this page shows the item; counts the recommendation click that led here, too
- `record(name, item)`: an event of the GA4 vocabulary, such as "add_to_cart" or "purchase"
- `session_id`: to be kept with an order that a webhook confirms later (see `django_sessrec.events`)
- `aview(item)`, `arecord(name, item)`, `asession_id()`: the same in async views
- `level`: the request's consent level, "contextual" or "session"
- `withdraw()`: consent is withdrawn: cookie and rows go with this response
"""

from __future__ import annotations

from asyncio import CancelledError, ensure_future, shield
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.db import close_old_connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from django_sessrec.capture.tracker import Tracker

__all__ = ["SessrecHttpRequest", "SessrecMiddleware"]


class SessrecHttpRequest(HttpRequest):
    """The type of a request behind the middleware, for a shop's annotations."""

    sessrec: Tracker


Response: TypeAlias = HttpResponseBase | Awaitable[HttpResponseBase]


# The method itself, which never raises: a function around it would be one more thing that can.
_finish = sync_to_async(Tracker.finish)


@sync_to_async
def _finish_unseen(tracker: Tracker) -> None:
    tracker.finish_unseen()
    close_old_connections()  # which Django does after an answer


async def _to_its_end(work: Awaitable[None]) -> None:
    """Await it to its end though the visitor leaves: before its thread begins it would be dropped."""
    working = ensure_future(work)
    try:
        await shield(working)
    except CancelledError:
        await shield(working)
        raise


class SessrecMiddleware:
    """Attaches a Tracker to each request and finishes it with the response."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[..., Response]) -> None:
        self.get_response: Callable[..., Any] = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: SessrecHttpRequest) -> Response:
        if self.is_async:
            return self.__acall__(request)
        tracker = request.sessrec = Tracker(request)
        try:
            response: HttpResponseBase = self.get_response(request)
        except CancelledError:  # behind a server of ASGI the visitor has left
            tracker.finish_unseen()
            raise
        if tracker.has_work:
            tracker.finish(response)
        tracker.answered = True
        return response

    async def __acall__(self, request: SessrecHttpRequest) -> HttpResponseBase:
        tracker = request.sessrec = Tracker(request)
        try:
            response: HttpResponseBase = await self.get_response(request)
        except CancelledError:  # the visitor has left; a sync view runs to its end first
            await _to_its_end(_finish_unseen(tracker))
            raise
        if tracker.must_ask_shop or tracker.has_work:
            await _to_its_end(_finish(tracker, response))
        tracker.answered = True
        return response
