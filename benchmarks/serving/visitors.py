"""Visitors over HTTP: a bounded load of keep-alive connections, each a visitor who clicks on and on."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice

import numpy as np

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SESSION_COOKIE = re.compile(rb"^set-cookie: (sessrec=[^;]+)", re.MULTILINE | re.IGNORECASE)
LENGTH = re.compile(rb"^content-length: (\d+)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """Seconds of each answer, and of the whole."""

    answers: list[float]
    elapsed: float

    def figures(self) -> dict[str, float]:
        p50, p90, p99 = np.percentile(self.answers, [50, 90, 99]) * 1e3
        rate = len(self.answers) / self.elapsed
        return {"requests_per_s": rate, "p50_ms": p50, "p90_ms": p90, "p99_ms": p99}


def visit(
    port: int,
    address: str,
    visits: Sequence[Sequence[str]],
    *,
    consent: bool,
    requests: int,
    connections: int,
) -> Load:
    """Send `requests` GETs of address.format(item) over the connections, as fast as answers come."""
    share = requests // connections
    parts = [visits[n::connections] for n in range(connections)]

    async def all_together() -> list[list[float]]:
        return await asyncio.gather(*(_browse(port, address, part, consent, share) for part in parts))

    start = time.perf_counter()
    answers = asyncio.run(all_together())
    return Load(list(chain.from_iterable(answers)), time.perf_counter() - start)


async def _browse(
    port: int, address: str, visits: Sequence[Sequence[str]], consent: bool, requests: int
) -> list[float]:
    """One visit after the other, each with a cookie of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for item, first_click in islice(clicks(visits), requests):
        if first_click:
            cookies = b"consent=yes" if consent else b"consent=no"
        start = time.perf_counter()
        head = await _get(reader, writer, address.format(item), cookies)
        answers.append(time.perf_counter() - start)
        if found := SESSION_COOKIE.search(head):
            cookies = b"consent=yes; " + found[1]
    writer.close()
    await writer.wait_closed()
    return answers


def clicks(visits: Sequence[Sequence[str]]) -> Iterator[tuple[str, bool]]:
    """The items of the visits for ever, each with whether it is the first of its visit."""
    return ((item, not position) for visit in cycle(visits) for position, item in enumerate(visit))


async def _get(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, cookies: bytes
) -> bytes:
    writer.write(
        f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {BROWSER}\r\n".encode()
        + b"Accept: text/html,application/json\r\nCookie: " + cookies + b"\r\n\r\n"
    )  # fmt: skip
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(LENGTH.search(head)[1]))
    if b" 200 " not in head[:16]:
        raise RuntimeError(f"{address} answered {head[:60]!r} {body[:200]!r}")
    return head
