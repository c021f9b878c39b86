"""The one middleware: attaches request.sessrec, and settles it when the response is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from django_sessrec.capture.tracker import Tracker


class SessrecMiddleware:
    """Last in MIDDLEWARE, so that it sees the view's own response. Sync and async."""

    sync_capable = True
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self.__acall__(request)
        tracker = request.sessrec = Tracker(request)
        response = self.get_response(request)
        if tracker.concerned:
            tracker.settle(response)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        tracker = request.sessrec = Tracker(request)
        response = await self.get_response(request)
        if tracker.concerned:
            await sync_to_async(tracker.settle)(response)
        return response
