"""The ways in which a shop may reach its events database."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.core.management import call_command
from django.db import connection, connections
from django.db.backends.base.base import NO_DB_ALIAS

from django_sessrec import database
from django_sessrec.testing import override_sessrec
from example_shop.stack.environment import django_database
from example_shop.stack.pgbouncer import BINARY, PgBouncer
from example_shop.stack.program import Program
from tests.support.capture import reconnected

SET_UPS = {
    "CONN_MAX_AGE 60": {"CONN_MAX_AGE": 60},
    "CONN_MAX_AGE 0": {"CONN_MAX_AGE": 0},
    "CONN_MAX_AGE None": {"CONN_MAX_AGE": None},
    "ATOMIC_REQUESTS": {"ATOMIC_REQUESTS": True},
    "pool": {},
    **({"PgBouncer": {}} if BINARY else {}),
    "apart": {},
    "stream": {},  # the test has set STREAM_URL
}


@dataclass
class SetUp:
    page_ends: Callable[[], None]
    servers: dict[str, Program]  # that a page may wait for
    waited: list[float] = field(default_factory=list)  # seconds, in vain for the database


@contextmanager
def set_up(name, postgres):
    """The events database on `postgres` as a shop may have it."""
    changes = django_database(postgres.url, pool=name == "pool") | SET_UPS[name]
    bouncer = None
    with _beside(changes) if name == "apart" else reconnected(**changes):
        events = database.connection()
        call_command("migrate", verbosity=0, database=events.alias)
        with events.cursor() as cursor:  # it would write its log within 0.2 s
            cursor.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            cursor.execute("ALTER SYSTEM SET log_lock_waits = on")  # tests read there who waited for what,
            cursor.execute("ALTER SYSTEM SET deadlock_timeout = '1ms'")  # and that as soon as it waits
            cursor.execute("SELECT pg_reload_conf()")
            # As in a shop: a commit waits for the disk unless it says otherwise. Servers of tests do not.
            cursor.execute(f"ALTER DATABASE {events.settings_dict['NAME']} SET synchronous_commit = on")
        events.close()
        if name == "PgBouncer":
            bouncer = PgBouncer(postgres)
            bouncer.start()
            events.settings_dict |= {"PORT": bouncer.port, "DISABLE_SERVER_SIDE_CURSORS": True}
        try:
            kept = changes["CONN_MAX_AGE"] != 0
            yield SetUp(
                (lambda: None) if kept else events.close,
                {"Postgres": postgres} | ({"PgBouncer": bouncer} if bouncer else {}),
            )
        finally:
            events.close()
            events.close_pool()
            if bouncer:
                bouncer.stop()


@contextmanager
def _beside(changes):
    """An events database beside the shop's own, whose ATOMIC_REQUESTS is set.

    By the one name that Django's tests let pass without having been told of it.
    """
    connections.settings[NO_DB_ALIAS] = connection.settings_dict | changes
    with override_sessrec(DATABASE=NO_DB_ALIAS), reconnected(ATOMIC_REQUESTS=True):
        try:
            yield
        finally:
            del connections[NO_DB_ALIAS], connections.settings[NO_DB_ALIAS]
