"""Locks of Postgres, which hold across machines and are freed when their holder dies: one process at a time
trains a model, and one chooses what serves or is removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django_sessrec import database

KEEPALIVE_SECONDS: Final = 60  # routers forget a connection that is silent for some minutes
ENDLESS: Final = """
    SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
"""  # the second since PostgreSQL 17


@contextmanager
def training_lock(model: str) -> Iterator[bool]:
    """Hold the model's lock if nobody does; yields whether it is held.

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
            yield cursor.fetchone()[0]
        connection.rollback()
    finally:
        connection.close()


@contextmanager
def promotion_lock(model: str) -> Iterator[None]:
    """A short transaction, in which nobody else promotes a run of the model, or removes one's artifact."""
    with database.atomic():
        with database.connection().cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [f"sessrec {model}"])
        yield
