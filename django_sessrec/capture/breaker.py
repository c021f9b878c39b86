"""Remembers that a service did not answer, so that the next pages don't wait for it, too."""

from __future__ import annotations

import time


class Breaker:
    """One for each service and process. No lock: two pages that find out together harm nothing."""

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
