"""Visitors who come at a steady rate, whether or not the answers do."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Sequence
from itertools import chain, count, cycle
from types import TracebackType
from typing import Self

import numpy as np

from benchmarks.serving.visitors import SESSION_COOKIE, _get

CONNECTIONS = 32  # requests that may be under way at once
TIMEOUT_SECONDS = 60  # for the first answer of a busy shop


class SteadyLoad:
    """A context in which a thread sends GETs of address.format(item), `rate` of them a second."""

    def __init__(self, port: int, address: str, visits: Sequence[Sequence[str]], rate: float) -> None:
        self._port, self._address, self._rate = port, address, rate
        self._clicks = cycle(chain.from_iterable(((item, not n) for n, item in enumerate(v)) for v in visits))
        self._seconds: dict[int, float] = {}  # from when a request was due to its answer, by its number
        self._stop = threading.Event()
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._began = math.inf  # until the load begins

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._problem is not None and error is None:
            raise self._problem

    def percentiles(self, seconds: float) -> dict[str, float]:
        """p50_ms and p90_ms of all requests that were due in the last `seconds`, or of the next one.

        Those that still wait are waited for; RuntimeError if one of them takes more than TIMEOUT_SECONDS.
        """
        until = time.monotonic()
        while not (due := self._due_in(until - seconds, until)) or not self._seconds.keys() >= due:
            if not self._thread.is_alive() or time.monotonic() > until + TIMEOUT_SECONDS:
                missing = len(due - self._seconds.keys())
                raise RuntimeError(f"{missing} of {len(due)} requests were not answered") from self._problem
            time.sleep(0.05)
        p50, p90 = np.percentile([self._seconds[number] for number in due], [50, 90]) * 1e3
        return {"p50_ms": float(p50), "p90_ms": float(p90)}

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except Exception as problem:  # raised where the context ends
            self._problem = problem

    def _due_in(self, since: float, until: float) -> set[int]:
        """The numbers of the requests that are due in this time of time.monotonic(), at least one."""
        if self._began == math.inf:
            return set()
        first, end = (max(0, math.ceil((at - self._began) * self._rate)) for at in (since, until))
        return set(range(first, max(end, first + 1)))

    async def _all(self) -> None:
        self._began = time.monotonic()
        self._numbers = count()
        await asyncio.gather(*(self._browse() for _ in range(CONNECTIONS)))

    async def _browse(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        cookies = b"consent=yes"
        while not self._stop.is_set():
            number, (item, first_click) = next(self._numbers), next(self._clicks)
            due = self._began + number / self._rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if first_click:
                cookies = b"consent=yes"
            head = await _get(reader, writer, self._address.format(item), cookies)
            self._seconds[number] = time.monotonic() - due
            if found := SESSION_COOKIE.search(head):
                cookies = b"consent=yes; " + found[1]
        writer.close()
        await writer.wait_closed()
