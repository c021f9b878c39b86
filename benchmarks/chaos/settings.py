"""The example shop with its events in a database of their own, which is killed while the shop sells on."""

import os

from example_shop.settings import *  # noqa: F403
from example_shop.settings import DATABASES, MIDDLEWARE, SESSREC
from example_shop.stack.environment import django_database

SET_UP = os.environ["SET_UP"]
DATABASES["events"] = django_database(os.environ["EVENTS_URL"], pool=SET_UP == "pool") | {
    "CONN_MAX_AGE 0": {"CONN_MAX_AGE": 0},
    "CONN_MAX_AGE None": {"CONN_MAX_AGE": None},
    "PgBouncer": {"PORT": os.environ.get("POOLER_PORT", ""), "DISABLE_SERVER_SIDE_CURSORS": True},
}.get(SET_UP, {})
# The shop's own database, which lives on: where the events' were asked to begin a transaction, Django itself
# would answer an error while it is down.
DATABASES["default"]["ATOMIC_REQUESTS"] = SET_UP == "ATOMIC_REQUESTS"
SESSREC = SESSREC | {"DATABASE": "events"}
MIDDLEWARE = ["benchmarks.chaos.timing.ServerTimingMiddleware", *MIDDLEWARE]
