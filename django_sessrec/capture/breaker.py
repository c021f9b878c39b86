"""Circuit breakers: a service that did not answer is not waited for again for a while."""

from __future__ import annotations

import threading
import time
from typing import Final

MAX_WAIT_SECONDS: Final = 2.0  # in vain, for all services of one page together
FORGIVEN_SECONDS: Final = 0.5  # after the last wait: what a thread waits for later is another page's

_waited = threading.local()


class Breaker:
    """Circuit breaker of one service in one process.

    Without a lock: two pages that find out together harm nothing.
    """

    def __init__(self, pause: float) -> None:
        self.pause = pause  # seconds
        self._rests_until = 0.0

    @property
    def resting(self) -> bool:
        return time.monotonic() < self._rests_until

    def rest(self) -> None:
        """Ask nothing of the service for `pause` seconds."""
        self._rests_until = time.monotonic() + self.pause

    def resume(self) -> None:
        """Ask it again at once."""
        self._rests_until = 0.0


def waited_in_vain(seconds: float) -> None:
    """Note that this thread's page has waited for a service that did not answer."""
    _waited.seconds = MAX_WAIT_SECONDS - patience_left() + seconds
    _waited.at = time.monotonic()


def patience_left() -> float:
    """Seconds that this thread's page may still wait for services that do not answer."""
    if time.monotonic() - getattr(_waited, "at", float("-inf")) > FORGIVEN_SECONDS:
        return MAX_WAIT_SECONDS
    return max(0.0, MAX_WAIT_SECONDS - float(_waited.seconds))


def forgive() -> None:
    """Forget what this thread has waited."""
    _waited.__dict__.clear()
