"""Where this machine's copy of the shop keeps what must outlive a restart, and where its servers are."""

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key

from example_shop.stack.folders import STATE as STATE_OF_THE_CHECKOUT
from example_shop.stack.postgres import Postgres
from example_shop.stack.valkey import Valkey

STATE = Path(os.environ.get("SESSREC_STATE", STATE_OF_THE_CHECKOUT))


def secret_key() -> str:
    """This machine's SECRET_KEY: made on the first start, readable by its owner only, never in git.

    The key is written aside and linked into place, so that processes that start together agree on one.
    """
    path = STATE / "secret_key"
    if not path.exists():
        STATE.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(get_random_secret_key())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # another process was first: its key is everybody's
        finally:
            draft.unlink()
    return path.read_text()


def database_url() -> str:
    """The database that DATABASE_URL names; for a command typed beside the running shop, the shop's own."""
    return os.environ.get("DATABASE_URL") or Postgres().url


def stream_url() -> str | None:
    """The stream that STREAM_URL names, or the running shop's own where SHOP_STREAM=1 asks for one."""
    return os.environ.get("STREAM_URL") or (
        Valkey().stream_url if os.environ.get("SHOP_STREAM") == "1" else None
    )


def broker_url() -> str:
    """The broker that BROKER_URL names, or the running shop's own."""
    return os.environ.get("BROKER_URL") or Valkey().url
