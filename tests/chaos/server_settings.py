"""The test shop as a real web server runs it, on the tests' database or with its events in another one."""

import os

from example_shop.stack.environment import django_database
from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, SESSREC

ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES["default"]["ATOMIC_REQUESTS"] = os.environ.get("ATOMIC_REQUESTS") == "1"
if events := os.environ.get("EVENTS_URL"):
    DATABASES["events"] = django_database(events)
    DATABASE_ROUTERS = ["tests.chaos.server_settings.EventsElsewhere"]
    SESSREC = SESSREC | {"DATABASE": "events"}


class EventsElsewhere:
    """A router: this app's tables are in one database, all others in the other."""

    def db_for_read(self, model: type, **_hints: object) -> str:
        return "events" if model._meta.app_label == "sessrec" else "default"

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **_hints: object) -> bool:
        return (db == "events") == (app_label == "sessrec")
