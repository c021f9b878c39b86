"""Circuit breakers: a service that did not answer is not waited for again for a while."""

from __future__ import annotations

import threading
import time
from typing import Final

MAX_WAIT_SECONDS: Final = 2.0  # in vain, for all services of one page together
UNASKED_SECONDS: Final = 3.0  # by then the keeper knows; where the server allows no threads, a page asks
FORGIVEN_SECONDS: Final = 0.5  # after the last wait: what a thread waits for later is another page's

_waited = threading.local()
_role = threading.local()


class Breaker:
    """Circuit breaker of one service in one process.

    Without a lock: two pages that find out together harm nothing.
    """

    def __init__(self, pause: float) -> None:
        self.pause = pause  # seconds
        self.unasked = False  # it rests because a page had no time left to ask it, and may be well
        self._rests_until = 0.0

    @property
    def resting(self) -> bool:
        return time.monotonic() < self._rests_until

    def asks(self, seconds: float) -> bool:
        """Whether this page may ask, who has so long left for an answer.

        A service that it has no time for rests as well: the next page must not be the one that finds out.
        """
        if self.resting:
            return False
        if patience_left() >= seconds:
            return True
        self.rest(UNASKED_SECONDS)
        self.unasked = True
        return False

    def rest(self, seconds: float | None = None) -> None:
        """Ask nothing of the service for so long, `pause` by default."""
        self.unasked = False
        self._rests_until = time.monotonic() + (self.pause if seconds is None else seconds)

    def resume(self) -> None:
        """Ask it again at once."""
        self.unasked = False
        self._rests_until = 0.0


def waited_in_vain(seconds: float) -> None:
    """Note that this thread's page has waited for a service that did not answer."""
    _waited.seconds = MAX_WAIT_SECONDS - patience_left() + seconds
    _waited.at = time.monotonic()


def waits_freely() -> None:
    """Count no waits of this thread: no page waits for it."""
    _role.free = True


def patience_left() -> float:
    """Seconds that this thread's page may still wait for services that do not answer."""
    ago = time.monotonic() - getattr(_waited, "at", float("-inf"))
    if ago > FORGIVEN_SECONDS or getattr(_role, "free", False):
        return MAX_WAIT_SECONDS
    return max(0.0, MAX_WAIT_SECONDS - float(_waited.seconds))


def forgive() -> None:
    """Forget what this thread has waited."""
    _waited.__dict__.clear()
