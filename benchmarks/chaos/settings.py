"""The example shop with its events in a database of their own, which is killed while the shop sells on."""

import os

from example_shop.settings import *  # noqa: F403
from example_shop.settings import DATABASES, SESSREC
from example_shop.stack.environment import django_database

DATABASES["events"] = django_database(os.environ["EVENTS_URL"])
SESSREC = SESSREC | {"DATABASE": "events"}
