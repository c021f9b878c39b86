"""A cached value with a time to live, renewed without a background thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class CachedValue(Generic[Value]):
    """Renewed by the first reader after it fell due; the others read the old value meanwhile.

    `renew` is given the value so far and must not raise: what it returns is swapped in whole. There is
    no lock to be left behind by a fork: two readers at the same instant renew twice, which harms nothing.
    """

    def __init__(self, start: Value, renew: Callable[[Value], Value]) -> None:
        self._start = self._value = start
        self._renew = renew
        self._due = 0.0

    @property
    def latest(self) -> Value:
        """The value as it was last renewed, however long ago."""
        return self._value

    def get(self, every_seconds: float) -> Value:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + every_seconds
            self._value = self._renew(self._value)
        return self._value

    def forget(self) -> None:
        """Start over at the next reader."""
        self._value, self._due = self._start, 0.0
