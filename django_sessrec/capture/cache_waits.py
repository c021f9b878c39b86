"""Waits for Django's cache: one page waits for a cache that answers late, and the next ones do not ask it.

How long a page waits at most is for the cache's own client to say.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django_sessrec.capture.breaker import Breaker, waited_in_vain

SLOW_SECONDS: Final = 0.5  # from which an answer is late

cache_breaker = Breaker(5.0)


def cache_may_be_asked() -> bool:
    """Whether this page may ask the cache."""
    return cache_breaker.asks(SLOW_SECONDS)


@contextmanager
def noting_a_late_cache() -> Iterator[None]:
    """For what asks the cache: if it waits for long, the next pages do not ask."""
    started = time.monotonic()
    try:
        yield
    finally:
        waited = time.monotonic() - started
        if waited > SLOW_SECONDS:
            cache_breaker.rest()
            waited_in_vain(waited)
