"""The transaction in which the shop's code runs, in whichever of its databases."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connections, transaction


def after_commit(verb: Callable[[], None]) -> None:
    """Call once the transaction commits in which the shop's code runs; at once where it runs in none."""
    if alias := open_transaction():
        transaction.on_commit(verb, using=alias)
    else:
        verb()


def open_transaction() -> str | None:
    """The database in whose transaction the shop's code now runs, if in any."""
    opened = (each for each in connections.all(initialized_only=True) if each.in_atomic_block)
    return next((each.alias for each in opened), None)
