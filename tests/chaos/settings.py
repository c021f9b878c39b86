"""The example shop with its events in a database of their own, without a router: the plainest such setup."""

import os

from example_shop.settings import *  # noqa: F403
from example_shop.settings import DATABASES, SESSREC
from example_shop.stack.environment import django_database

DATABASES["events"] = django_database(os.environ["EVENTS_URL"])
SESSREC = SESSREC | {
    "DATABASE": "events",
    "CATALOGUE": "tests.chaos.catalogue.ProductCatalogue",
}
