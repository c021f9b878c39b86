"""Isolation of errors: the shop's page and its open transactions never notice one."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import wraps
from types import TracebackType
from typing import Final, ParamSpec, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, Error, connections, transaction

logger = logging.getLogger("django_sessrec")

LOG_AGAIN_SECONDS = 600  # a fault on every page must not fill the disk
WARN_AGAIN_SECONDS = 60
UNMIGRATED: Final = "The app's tables are missing or out of date: run manage.py migrate."
UNDEFINED: Final = frozenset({"42P01", "42703", "42883"})  # a table, a column, a function
_logged_at: dict[str, float] = {}
_warned_at: dict[str, float] = {}
_unsaid: Counter[str] = Counter()

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class UnsupportedError(ImproperlyConfigured):
    """A set-up that the app can't work with, such as another database than PostgreSQL; logged in one line."""


def never_raises(
    task: str, default: Result, *, savepoints: bool = False
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Decorator for what the shop's own code calls: an error is logged, and answered `default`.

    task:       completes "could not ..."
    savepoints: for what queries a database, see isolated()
    """

    def decorate(verb: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        @wraps(verb)
        def unbreakable(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            try:
                if not savepoints:
                    return verb(*args, **kwargs)
                with _savepoints():
                    return verb(*args, **kwargs)
            except Exception as error:
                log(f"could not {task}", error)
                return default

        return unbreakable

    return decorate


def isolated(task: str, *, about: str = "", savepoints: bool = True) -> AbstractContextManager[None, bool]:
    """Swallow and log what fails inside; `task` completes "could not ...".

    task:  one of few, because each is logged by itself; what differs from page to page belongs into `about`
    about: what it was done with, said in the traceback

    Postgres refuses every query of a transaction after a failed one, so inside the shop's transactions
    (ATOMIC_REQUESTS) the work has savepoints to go back to. Without them, which spares two statements
    each time, a database error inside a transaction goes through to whoever has savepoints.
    """
    return _Isolated(task, about, savepoints=savepoints)


class _Isolated:
    """isolated() as a class: several are entered for each list, and a generator costs four times as much."""

    __slots__ = ("_about", "_inside", "_savepoints", "_task")

    def __init__(self, task: str, about: str, *, savepoints: bool) -> None:
        self._task, self._about, self._savepoints = task, about, savepoints
        self._inside: AbstractContextManager[None, bool | None] | None = None

    def __enter__(self) -> None:
        if self._savepoints and any(_in_transaction()):
            savepoints = _savepoints()
            # A transaction that has failed already takes none, and nothing inside can hurt it.
            with suppress(Error):
                savepoints.__enter__()
                self._inside = savepoints

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._inside is not None:
            try:
                self._inside.__exit__(kind, error, traceback)
            except Exception as problem:
                error = problem
        if error is None or not isinstance(error, Exception):
            return False
        return swallowed(self._task, error, about=self._about, savepoints=self._savepoints)


def swallowed(task: str, error: Exception, *, about: str = "", savepoints: bool = False) -> bool:
    """Log an error as isolated() does; whether it may be swallowed. For loops, where a block costs too much:

    try:
        ...
    except Exception as error:
        if not swallowed("describe an item", error):
            raise
    """
    if about:
        error.add_note(about)
    if not savepoints and isinstance(error, DatabaseError) and any(_in_transaction()):
        return False
    log(f"could not {task}", error)
    return True


def _in_transaction() -> Iterator[str]:
    """Aliases of the databases that the running code has a transaction in."""
    return (each.alias for each in connections.all(initialized_only=True) if each.in_atomic_block)


@contextmanager
def _savepoints() -> Iterator[None]:
    with ExitStack() as savepoints:
        for alias in _in_transaction():
            savepoints.enter_context(transaction.atomic(alias))
        yield


def log(fault: str, error: Exception) -> None:
    """Log the fault with its traceback, unless this kind was logged within LOG_AGAIN_SECONDS.

    Of an UnsupportedError its message alone, once for all faults that it causes; so of a forgotten migrate.
    """
    if is_unmigrated(error):
        warn(UNMIGRATED)
        return
    unsupported = isinstance(error, UnsupportedError)
    kind = str(error) if unsupported else f"{fault}: {type(error).__name__}"
    now = time.monotonic()
    if now - _logged_at.get(kind, -LOG_AGAIN_SECONDS) >= LOG_AGAIN_SECONDS:
        _logged_at[kind] = now
        if unsupported:
            logger.warning("%s", error)
        else:
            logger.error("%s", fault, exc_info=error)


def warn(message: str, *values: object) -> None:
    """Log a warning, unless this message was logged within WARN_AGAIN_SECONDS; then it is only counted.

    Where one of the values is the error of a forgotten migrate, that is the message.
    """
    if any(isinstance(value, Exception) and is_unmigrated(value) for value in values):
        message, values = UNMIGRATED, ()
    now = time.monotonic()
    if now - _warned_at.get(message, -WARN_AGAIN_SECONDS) < WARN_AGAIN_SECONDS:
        _unsaid[message] += 1
        return
    _warned_at[message] = now
    unsaid = _unsaid.pop(message, 0)
    logger.warning(message + "%s", *values, f" ({unsaid} more such warnings before)" if unsaid else "")


def is_unmigrated(error: BaseException | None) -> bool:
    """Whether the error, or its cause, is a table, column or function of the app that the database lacks."""
    while error is not None:
        if getattr(error, "sqlstate", None) in UNDEFINED:
            return "sessrec_" in str(error)
        error = error.__cause__
    return False


def forget() -> None:
    """Log every kind of fault again."""
    _logged_at.clear()
    _warned_at.clear()
    _unsaid.clear()
