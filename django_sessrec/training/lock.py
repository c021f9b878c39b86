"""Locks of Postgres, which hold across machines and are freed when their holder dies: one process at a time
trains a model, and one chooses what serves or is removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

from django.db import Error
from django.db.backends.utils import CursorWrapper
from django.utils.translation import gettext as _

from django_sessrec import database

KEEPALIVE_SECONDS: Final = 60  # routers forget a connection that is silent for some minutes
ENDLESS: Final = """
    SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
"""  # the second since PostgreSQL 17


Held = Callable[[], None]
"""Asks Postgres whether a lock is still held; raises LockLost."""


class LockLost(Exception):  # noqa: N818
    """Another process may train the model, or has ended the run; the message says why."""


@contextmanager
def training_lock(model: str) -> Iterator[Held | None]:
    """Hold the model's lock if nobody does; yields how to ask whether it is still held, None if it never was.

    A lock of Postgres, so that the server frees it when the process that holds it dies. Bound to a
    transaction and not to the session, which would not survive PgBouncer's transaction pooling; on a
    connection of its own, so that this transaction, open as long as the training, holds nothing else: no
    row, and no snapshot that would keep vacuum from its work.
    """
    connection = database.connection().copy()
    options = connection.settings_dict["OPTIONS"]
    options.pop("pool", None)  # which lends a connection for moments, not for hours
    # A statement whose values go apart stays open until the next one, and keeps its snapshot.
    options["server_side_binding"] = False
    options.setdefault("keepalives_idle", KEEPALIVE_SECONDS)
    try:
        connection.connect()
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            cursor.execute(ENDLESS)
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"sessrec {model}"])
            yield partial(_ask, cursor) if cursor.fetchone()[0] else None
        with suppress(Error):  # lost after the last time that it mattered
            connection.rollback()
    finally:
        connection.close()


def _ask(cursor: CursorWrapper) -> None:
    try:
        cursor.execute("SELECT 1")
    except Error as error:
        raise LockLost(
            _("The connection of its training lock was ended, so that another run may have begun: %(error)s")
            % {"error": str(error).strip().partition("\n")[0]}
        ) from error


@contextmanager
def promotion_lock(model: str) -> Iterator[None]:
    """A short transaction, in which nobody else promotes a run of the model, or removes one's artifact."""
    with database.atomic():
        with database.connection().cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [f"sessrec {model}"])
        yield
