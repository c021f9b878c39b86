"""SIGTERM as an exception, so that a training run that is stopped ends as failed and says why."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sigterm_raised() -> Iterator[None]:
    """SIGTERM ends the block by SystemExit, as Ctrl-C does by KeyboardInterrupt.

    Left alone where somebody else listens to it, as Celery's main process does, and outside the main
    thread, where Python allows no change.
    """
    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
