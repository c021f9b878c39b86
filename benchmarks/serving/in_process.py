"""What one list costs in this process, without server or writing.

A visit's list is that of its last click. Those of a session find its earlier clicks stored, as pages do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.serving.visitors import BROWSER

QUESTIONS = 2_000
Steps = dict[str, tuple[Callable[[Any], Any], Sequence[Any]]]


def in_process(visits: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The model's own share of a slot, and the slot's share of a page, without server or writing."""
    from django_sessrec.recommendations import get_recommendations
    from django_sessrec.serving.active_models import active

    def slot(page: tuple[Any, str]) -> Any:
        request, item = page
        return get_recommendations(request, "product_page", item=item)

    recommender = active("neighbours").recommender
    return {
        "model_us": timed(lambda items: recommender.rank(items, 32).explained(0, 8), visits),
        "fill_contextual_us": timed(slot, pages_of(visits[:QUESTIONS], consent="no")),
        "fill_session_us": timed(slot, pages_of(visits[:QUESTIONS], consent="yes")),
        "stages_us": {
            name: timed(ask, given)["p50"] for name, (ask, given) in stages(visits[: QUESTIONS // 2]).items()
        },
    }


def stages(visits: Sequence[Sequence[str]]) -> Steps:
    """Each step of a slot of a session, and what it is asked with."""
    from django_sessrec.recommendations import (
        choose,
        get_recommendations,
        placement_for,
        remember,
        render,
        visit_of,
    )

    pages = pages_of(visits, consent="yes")
    seen = [visit_of(request, item=item) for request, item in pages]
    placement = placement_for("product_page", seen[0])
    chosen = [(choose(visit, placement), visit) for visit in seen]
    made = [(get_recommendations(request, "product_page", item=item), request) for request, item in pages]
    return {
        "visit_of": (lambda page: visit_of(page[0], item=page[1]), pages),
        "placement_for": (lambda visit: placement_for("product_page", visit), seen),
        "choose": (lambda visit: choose(visit, placement), seen),
        "remember": (lambda pair: remember(*pair, placement), chosen),
        "render": (lambda pair: render(*pair), made),
    }


def pages_of(visits: Sequence[Sequence[str]], *, consent: str) -> list[tuple[Any, str]]:
    """The page of each visit's last click: its request, as it comes out of the middleware, and its item."""
    from django.test import RequestFactory

    from django_sessrec.capture import cookie, store
    from django_sessrec.capture.event import make
    from django_sessrec.capture.tracker import Tracker
    from django_sessrec.ids import uuid7

    pages = []
    for *earlier, item in visits:
        session_id = uuid7()
        if consent == "yes":
            store.write([make("view_item", each, session_id=session_id) for each in earlier])
        request: Any = RequestFactory().get("/", headers={"user-agent": BROWSER})
        request.COOKIES |= {"consent": consent, "sessrec": cookie.text_of(session_id)}
        request.sessrec = Tracker(request)
        _ = request.sessrec.session_id  # read once a page, whether or not it has a list
        pages.append((request, item))
    return pages


def timed(ask: Callable[[Any], Any], given: Sequence[Any]) -> dict[str, float]:
    """Microseconds of `ask(each)` for one after the other, such as visits."""
    seconds = []
    for each in given[:QUESTIONS]:
        start = time.perf_counter()
        ask(each)
        seconds.append(time.perf_counter() - start)
    p1, p50, p90, p99 = np.percentile(seconds[len(seconds) // 10 :], [1, 50, 90, 99]) * 1e6
    return {"p1": p1, "p50": p50, "p90": p90, "p99": p99}
