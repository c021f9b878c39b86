"""How long the shop's process took for a page, and how much of that django_sessrec, told in a header."""

import time
from collections.abc import Callable
from functools import wraps
from threading import local
from typing import Any

from django.http import HttpRequest, HttpResponse

from benchmarks.chaos.sent import NEW
from django_sessrec.capture.tracker import Tracker
from django_sessrec.templatetags import sessrec

_spent = local()


class ServerTimingMiddleware:
    """The first of the middlewares: `Server-Timing: page;dur=12.0, sessrec;dur=5.1, cpu;dur=9.8`, in ms.

    Followed by NEW where the process had answered no page when this one began.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.has_answered = False
        for owner, name in ((sessrec, "recommend"), (Tracker, "finish")):
            setattr(owner, name, _timed(getattr(owner, name)))

    def __call__(self, request: HttpRequest) -> HttpResponse:
        _spent.seconds, is_new = 0.0, not self.has_answered
        began, processor = time.monotonic(), time.thread_time()
        response = self.get_response(request)
        spent = {
            "page": time.monotonic() - began,
            "sessrec": _spent.seconds,
            "cpu": time.thread_time() - processor,
        }
        self.has_answered = True
        told = [f"{name};dur={1e3 * each:.1f}" for name, each in spent.items()]
        response["Server-Timing"] = ", ".join([*told, NEW] if is_new else told)
        return response


def _timed(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.monotonic()
        try:
            return function(*args, **kwargs)
        finally:
            _spent.seconds += time.monotonic() - began

    return timed
