"""A cached value with a time to live, renewed without a background thread."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from django_sessrec.capture.breaker import MAX_WAIT_SECONDS

Value = TypeVar("Value")


class CachedValue(Generic[Value]):
    """Renewed by the first reader after it fell due; the others read the old value meanwhile.

    Where there is no old value yet, the others wait for it, for MAX_WAIT_SECONDS at most: the start value,
    such as no rules at all, is nothing that anybody has said. `renew` is given the value so far and must not
    raise: what it returns is swapped in whole.
    """

    def __init__(self, start: Value, renew: Callable[[Value], Value]) -> None:
        self._start = self._value = start
        self._renew = renew
        self._due = 0.0
        self._is_read = False
        self.first_reader = Lock()
        _values.add(self)

    @property
    def latest(self) -> Value:
        """The value as it was last renewed, however long ago."""
        return self._value

    def get(self, every_seconds: float) -> Value:
        if self._is_read:
            if time.monotonic() >= self._due:
                self._read(every_seconds)
        elif self.first_reader.acquire(timeout=MAX_WAIT_SECONDS):
            try:
                if not self._is_read:
                    self._read(every_seconds)
            finally:
                self.first_reader.release()
        return self._value

    def expire(self) -> None:
        """Renew at the next reader; the others read the old value meanwhile."""
        self._due = 0.0

    def forget(self) -> None:
        """Start over at the next reader."""
        self._value, self._due, self._is_read = self._start, 0.0, False

    def _read(self, every_seconds: float) -> None:
        self._due = time.monotonic() + every_seconds
        self._value = self._renew(self._value)
        self._is_read = True


_values: WeakSet[CachedValue[Any]] = WeakSet()


def _free() -> None:
    """In a forked process nobody reads, whoever read in its parent."""
    for each in _values:
        each.first_reader = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free)
