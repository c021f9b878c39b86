"""What a training run needs to say why it ended where a signal ends it: SIGTERM as an exception, and a
connection that answers."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.pq import TransactionStatus

from django_sessrec import database
from django_sessrec.capture.deadlines import hang_up


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


def leave_cut_statement() -> None:
    """Leave a connection on which a signal, such as a worker's time limit, has cut a statement off: it waits
    for the answer and takes no other."""
    own = database.connection()
    if own.connection is not None and own.connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
        hang_up(own)
