"""The transaction in which the shop's code runs, in whichever of its databases."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.db import connections, transaction


def after_commit(verb: Callable[[], None]) -> None:
    """Call once every transaction has committed in which the shop's code runs; at once where it runs in none.

    Where one of them rolls back, it is never called.
    """
    opened = _open_ones()
    if not opened:
        verb()
    elif len(opened) == 1:
        transaction.on_commit(verb, using=opened.pop())
    else:
        for alias in opened.copy():
            transaction.on_commit(partial(committed, opened, alias, verb), using=alias)


def in_transaction() -> bool:
    """Whether the shop's code now runs in a transaction of any of its databases."""
    return bool(_open_ones())


def _open_ones() -> set[str]:
    return {each.alias for each in connections.all(initialized_only=True) if each.in_atomic_block}


def committed(awaited: set[str], alias: str, verb: Callable[[], None]) -> None:
    """Call `verb` as the last of the transactions commits."""
    awaited.discard(alias)
    if not awaited:
        verb()
