"""What goes wrong in here stays in here: the shop's page and its open transactions never notice."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connections, transaction

logger = logging.getLogger("django_sessrec")

LOG_AGAIN_SECONDS = 600  # a fault on every page must not fill the disk
WARN_AGAIN_SECONDS = 60
_logged_at: dict[str, float] = {}
_warned_at: dict[str, float] = {}
_unsaid: Counter[str] = Counter()

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def never_raises(
    task: str, default: Result
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """For what the shop's own code calls: an error in it is logged, and answered `default`.

    `task` completes "could not ...". Where it queries a database, see isolated().
    """

    def shield(verb: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        @wraps(verb)
        def unbreakable(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            try:
                return verb(*args, **kwargs)
            except Exception as error:
                log(f"could not {task}", error)
                return default

        return unbreakable

    return shield


@contextmanager
def isolated(task: str) -> Iterator[None]:
    """Swallow and log what fails inside; `task` completes "could not ...".

    Postgres refuses every query of a transaction after a failed one, so inside the shop's transactions
    (ATOMIC_REQUESTS) the work has savepoints to go back to.
    """
    try:
        with ExitStack() as savepoints:
            for connection in connections.all(initialized_only=True):
                if connection.in_atomic_block:
                    savepoints.enter_context(transaction.atomic(connection.alias))
            yield
    except Exception as error:
        log(f"could not {task}", error)


def log(fault: str, error: Exception) -> None:
    """Log the fault with its traceback, unless this kind was logged within LOG_AGAIN_SECONDS."""
    kind = f"{fault}: {type(error).__name__}"
    now = time.monotonic()
    if now - _logged_at.get(kind, -LOG_AGAIN_SECONDS) >= LOG_AGAIN_SECONDS:
        _logged_at[kind] = now
        logger.error("%s", fault, exc_info=error)


def warn(message: str, *values: object) -> None:
    """Log a warning, unless this message was logged within WARN_AGAIN_SECONDS; then it is only counted."""
    now = time.monotonic()
    if now - _warned_at.get(message, -WARN_AGAIN_SECONDS) < WARN_AGAIN_SECONDS:
        _unsaid[message] += 1
        return
    _warned_at[message] = now
    unsaid = _unsaid.pop(message, 0)
    logger.warning(message + "%s", *values, f" ({unsaid} more such warnings before)" if unsaid else "")


def forget() -> None:
    """Log every kind of fault again."""
    _logged_at.clear()
    _warned_at.clear()
    _unsaid.clear()
