"""What pages cost in calls and processor time: `python -m benchmarks.serving.calls --out build/calls.json`.

Both can be compared on a machine that others use, where requests a second cannot. The pages of
`benchmarks.serving` are asked in this process through Django's own handler, in turn, by visitors who click
on. The JSON:

    pages       of each page, asked by contextual visitors and by those of a session: `calls` of Python and C
                functions, `statements` sent to Postgres, `cpu_us` of this thread, and `postgres_us` of the
                server process that answers it (on Linux), p50 of all clicks; `bare` is the page without the
                middleware
    stages      the same of each step of a slot of a session, but for the statements
    added       what the tag adds to the page, the shop's own query and loop (`by_hand`), and the middleware
                (`tracked`)

To see where they go: `--profile tagged` prints a session's page's functions by the number of their calls.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import math
import pstats
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import one_page_shop
from benchmarks.serving.__main__ import PAGES, shop
from benchmarks.serving.in_process import stages
from benchmarks.serving.visitors import BROWSER, clicks

WARM_UP = 30
CALLS_OF = 100  # pages of each kind whose calls are counted: they hardly differ
SHOWN = 70  # functions of a profile
COUNTED = ("calls", "statements")
SETTLED_SECONDS = 0.0005  # in which a server process that has answered has gone to sleep
KINDS = {"contextual": "consent=no", "session": "consent=yes"}
ADDED = {"tagged": "plain", "by_hand": "plain", "tracked": "bare"}  # each over the page without


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=1_000, help="of each page and kind of visitor")
    parser.add_argument("--intents", action="store_true", help="of a model that tells intents apart")
    parser.add_argument("--atomic", action="store_true", help="under ATOMIC_REQUESTS")
    parser.add_argument("--profile", choices=PAGES, help="print the functions of this page instead")
    options = parser.parse_args()
    with shop(options.items, options.sessions, intents=options.intents) as visits:
        from django.db import connection

        connection.settings_dict["ATOMIC_REQUESTS"] = options.atomic
        look_up_once()
        if options.profile:
            profile(Visitor(visits, PAGES[options.profile], KINDS["session"]))
            return
        figures = {"python": sys.version.split()[0], **pages(visits, options.requests)}
        figures["stages"] = steps(visits)
    print(json.dumps(figures, indent=2))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(figures, indent=2) + "\n")


def look_up_once() -> None:
    """Have pages look for new rules, runs and experiments only once.

    On a busy machine a few pages take seconds, and those looks would count as a page's own.
    """
    from django_sessrec.serving import active_models, experiments, merchant_rules

    for module in (active_models, experiments, merchant_rules):
        module.CHECK_SECONDS = math.inf


class Visitor:
    """One visitor after the other, who asks one page for the items of a visit."""

    def __init__(
        self, visits: Sequence[Sequence[str]], address: str, consent: str, *, with_app: bool = True
    ) -> None:
        from django.core.handlers.wsgi import WSGIHandler
        from django.test import override_settings

        # A handler keeps the middleware that the settings named when it was made.
        capture = [one_page_shop.CAPTURE] if with_app else []
        with override_settings(MIDDLEWARE=[*one_page_shop.MIDDLEWARE, *capture]):
            self._handler = WSGIHandler()
        self._address, self._consent, self._clicks = address, consent, clicks(visits)
        self._cookies = consent

    def next_request(self) -> Callable[[], None]:
        """The next request, made ready to be asked."""
        from django.test import RequestFactory

        item, first_click = next(self._clicks)
        if first_click:
            self._cookies = self._consent
        headers = {"user-agent": BROWSER, "accept": "text/html,application/json", "cookie": self._cookies}
        environ = RequestFactory().get(self._address.format(item), headers=headers).environ
        return lambda: self._ask(environ)

    def _ask(self, environ: dict[str, Any]) -> None:
        response: Any = self._handler(environ, lambda *_: lambda _: None)
        b"".join(response)
        response.close()
        if response.status_code != 200:
            raise RuntimeError(f"{environ['PATH_INFO']} answered {response.status_code}")
        if session := response.cookies.get("sessrec"):
            self._cookies = f"{self._consent}; sessrec={session.value}"


def pages(visits: Sequence[Sequence[str]], requests: int) -> dict[str, Any]:
    """The figures of each page, and what the tag, the shop's own query and the middleware add."""
    visitors = {
        f"{page}_{kind}": Visitor(visits, PAGES.get(page, PAGES["plain"]), consent, with_app=page != "bare")
        for page in (*PAGES, "bare")
        for kind, consent in KINDS.items()
    }
    found: dict[str, dict[str, list[float]]] = {name: {} for name in visitors}
    for measure in MEASURES:
        times = min(CALLS_OF, requests) if measure in COUNTED else requests
        for number in range(WARM_UP + times):
            for name, visitor in visitors.items():
                value = MEASURES[measure](visitor.next_request())
                if number >= WARM_UP:
                    found[name].setdefault(measure, []).append(value)
    figures = {name: {each: median(some) for each, some in of.items()} for name, of in found.items()}
    added = {
        f"{page}_{kind}": {
            measure: figures[f"{'plain' if page == 'tracked' else page}_{kind}"][measure]
            - figures[f"{without}_{kind}"][measure]
            for measure in MEASURES
        }
        for page, without in ADDED.items()
        for kind in KINDS
    }
    return {"pages": figures, "added": added}


def steps(visits: Sequence[Sequence[str]]) -> dict[str, dict[str, float]]:
    """The calls and the processor time of each step of a slot."""
    found: dict[str, dict[str, float]] = {}
    for name, (ask, given) in stages(visits[:500]).items():
        for each in given[:WARM_UP]:
            ask(each)
        asked = [lambda each=each, ask=ask: ask(each) for each in given[WARM_UP:]]
        found[name] = {
            "calls": median(map(calls_of, asked[:CALLS_OF])),
            "cpu_us": median(map(cpu_us_of, asked)),
        }
    return found


def calls_of(ask: Callable[[], object]) -> float:
    """Calls of Python and C functions."""
    counter = cProfile.Profile()
    counter.enable()
    ask()
    counter.disable()
    return sum(entry.callcount for entry in counter.getstats())


def cpu_us_of(ask: Callable[[], object]) -> float:
    """Microseconds of this thread: those of Postgres, and of waiting for it, do not count."""
    began = time.thread_time_ns()
    ask()
    return (time.thread_time_ns() - began) / 1e3


def statements_of(ask: Callable[[], object]) -> float:
    """Statements sent to Postgres."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        ask()
    return len(captured)


def postgres_us_of(ask: Callable[[], object]) -> float:
    """Microseconds of the server process behind this thread's connection; 0 but on Linux."""
    from django.db import connection

    connection.ensure_connection()
    spent = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    if not spent.exists():
        return 0.0
    before = int(spent.read_text().split()[0])
    ask()
    time.sleep(SETTLED_SECONDS)
    if not spent.exists():  # the page has opened its connection anew
        return postgres_us_of(ask)
    return (int(spent.read_text().split()[0]) - before) / 1e3


MEASURES = {
    "cpu_us": cpu_us_of,
    "postgres_us": postgres_us_of,
    "calls": calls_of,
    "statements": statements_of,
}


def profile(visitor: Visitor) -> None:
    """Print the functions that a page calls most."""
    for _ in range(WARM_UP):
        visitor.next_request()()
    counter = cProfile.Profile()
    for _ in range(CALLS_OF):
        ask = visitor.next_request()
        counter.enable()
        ask()
        counter.disable()
    print(f"{CALLS_OF} pages:")
    pstats.Stats(counter).strip_dirs().sort_stats("ncalls").print_stats(SHOWN)


if __name__ == "__main__":
    main()
