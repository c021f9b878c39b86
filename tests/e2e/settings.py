"""The example shop's own settings, but for a web process that looks for a new model at once."""

from example_shop.settings import *  # noqa: F403
from example_shop.settings import SESSREC

SESSREC = SESSREC | {"ACTIVE_CHECK_SECONDS": 0}
