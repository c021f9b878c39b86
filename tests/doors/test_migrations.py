"""`migrate` makes the tables in the database that SESSREC names, and none of them elsewhere."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

import django_sessrec.migrations
from django_sessrec.database import OwnDatabaseMigration

CHECKOUT = Path(__file__).parents[2]
PROJECT = """
import sys
import django
from django.conf import settings
settings.configure(
    DATABASES={databases!r},
    INSTALLED_APPS=[
        "django.contrib.contenttypes", "django.contrib.auth", "django_sessrec", "django.contrib.sessions",
    ],
    MIDDLEWARE=["django_sessrec.middleware.SessrecMiddleware"],
    SESSREC={{"CATALOGUE": "tests.capture.shop.SmallCatalogue", "DATABASE": {database!r}}},
    SILENCED_SYSTEM_CHECKS={silenced!r},
    DATABASE_ROUTERS={routers!r},
    USE_TZ=True,
)
django.setup()
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""
ROUTER = "django_sessrec.database.EventsRouter"


class OwnRouter:
    """A shop's router that keeps its other apps out of the events' database."""

    def allow_migrate(self, db, app_label, **hints):
        return False if db == "events" and app_label != "sessrec" else None


class Shop:
    """A project whose own database is SQLite, in a process of its own."""

    def __init__(self, folder, events):
        self.sqlite = folder / "shop.sqlite3"
        self.events = events
        self.databases = {
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self.sqlite)},
            "events": events,
        }

    def run(self, *arguments, routers=(), database="events", silenced=()):
        project = PROJECT.format(
            databases=self.databases, database=database, routers=list(routers), silenced=list(silenced)
        )
        command = [sys.executable, "-W", "error", "-c", project, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def own_tables(self):
        with closing(sqlite3.connect(self.sqlite)) as shop:
            return {name for (name,) in shop.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def event_tables(self):
        given = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
        options = {key: self.events[name] for key, name in given.items() if self.events.get(name)}
        with psycopg.connect(**options) as events:
            rows = events.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return {name for (name,) in rows}


@pytest.fixture
def shop(tmp_path, django_db_blocker):
    """Its events are in a new, empty database of the tests' server."""
    name = f"events_{uuid4().hex[:8]}"
    kept = {key: connection.settings_dict[key] for key in ("ENGINE", "HOST", "PORT", "USER", "PASSWORD")}
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield Shop(tmp_path, {**kept, "NAME": name})
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
        connection.close()


def ours(tables):
    return {table for table in tables if table.startswith("sessrec_")}


def test_every_migration_keeps_to_its_database():
    folder = Path(django_sessrec.migrations.__file__).parent
    for path in folder.glob("0*.py"):
        migration = import_module(f"django_sessrec.migrations.{path.stem}").Migration
        assert issubclass(migration, OwnDatabaseMigration), path


def test_the_shops_own_database_may_be_another_product(shop):
    told = shop.run("migrate")
    assert "no tables in 'default': SESSREC['DATABASE'] is 'events': run migrate --database events" in told
    assert not ours(shop.own_tables())
    assert {"auth_user", "django_session"} <= shop.own_tables()  # those of the apps after it, too
    assert "made no tables" not in shop.run("migrate")  # once is enough


@pytest.mark.parametrize("routers", [[], [ROUTER]], ids=["no router", "our router"])
def test_the_events_database_gets_the_apps_tables(shop, routers):
    shop.run("migrate", "--database", "events", routers=routers)
    tables = shop.event_tables()
    assert {"sessrec_event", "sessrec_impression", "sessrec_trainingrun"} <= tables
    assert len([table for table in tables if table.startswith("sessrec_event_2")]) >= 8  # partitions ahead
    assert ("auth_user" in tables) is (routers == [])


def test_with_the_router_the_events_database_holds_nothing_else(shop):
    shop.run("migrate", "--database", "events", routers=[ROUTER])
    assert shop.event_tables() - ours(shop.event_tables()) == {"django_migrations"}
    shop.run("migrate", routers=[ROUTER])
    assert not ours(shop.own_tables())
    assert "auth_user" in shop.own_tables()


def test_a_shops_tests_may_run_on_another_product(shop):
    told = shop.run("migrate", database="default", silenced=["sessrec.E011"])
    assert "made no tables in 'default': it is sqlite, and they need PostgreSQL" in told
    assert not ours(shop.own_tables())
    assert "django_session" in shop.own_tables()


def test_such_tests_may_serialize_and_dump_their_database(shop):
    """As docs/how-to/test-your-shop.md sets them up: `serialized_rollback` reads every table."""
    setup = {"database": "default", "silenced": ["sessrec.E011"], "routers": [ROUTER]}
    shop.run("migrate", **setup)
    assert "contenttypes.contenttype" in shop.run("dumpdata", **setup)
    read = "from django.db import connection; print(connection.creation.serialize_db_to_string())"
    assert "contenttypes.contenttype" in shop.run("shell", "-c", read, **setup)


def test_migrations_are_taken_back_where_nothing_was_made(shop):
    shop.run("migrate")
    shop.run("migrate", "sessrec", "zero")
    shop.run("migrate", "--database", "events", routers=[ROUTER])
    shop.run("migrate", "sessrec", "zero", "--database", "events", routers=[ROUTER])
    assert not ours(shop.event_tables())


@pytest.mark.parametrize(
    ("router", "warned"), [(None, True), (ROUTER, False), ("tests.doors.test_migrations.OwnRouter", False)]
)
def test_a_router_that_is_missing_is_told_of(shop, router, warned):
    assert ("sessrec.W020" in shop.run("check", routers=[router] if router else [])) is warned
