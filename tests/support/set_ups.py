"""The ways in which a shop may reach its events database."""

from contextlib import contextmanager

from django.core.management import call_command
from django.db import connection

from example_shop.stack.environment import django_database
from example_shop.stack.pgbouncer import BINARY, PgBouncer
from tests.support.capture import reconnected

SET_UPS = ["CONN_MAX_AGE 0", "CONN_MAX_AGE 60", "pool", *(["PgBouncer"] if BINARY else [])]


@contextmanager
def set_up(name, postgres):
    """The events database on `postgres` as a shop may have it, without a row; how a page ends there."""
    changes = django_database(postgres.url, pool=name == "pool")
    bouncer = None
    if name == "CONN_MAX_AGE 0":
        changes["CONN_MAX_AGE"] = 0
    with reconnected(**changes):
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:  # it would write its log within 0.2 s
            cursor.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            cursor.execute("SELECT pg_reload_conf()")
        if name == "PgBouncer":
            bouncer = PgBouncer(postgres)
            bouncer.start()
            connection.close()
            connection.settings_dict |= {"PORT": bouncer.port, "DISABLE_SERVER_SIDE_CURSORS": True}
        try:
            yield connection.close if name in ("CONN_MAX_AGE 0", "pool") else lambda: None
        finally:
            connection.close()
            connection.close_pool()
            if bouncer:
                bouncer.stop()
