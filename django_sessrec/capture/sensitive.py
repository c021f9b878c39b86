"""Items that leave no trace, asked where a trace would begin."""

from __future__ import annotations

from collections.abc import Collection

from django_sessrec.catalogue import get_catalogue
from django_sessrec.safety import isolated


def sensitive_among(item_ids: Collection[str]) -> set[str]:
    """Which of the items are sensitive; all of them where the shop's catalogue can't say. Never raises."""
    if item_ids:
        with isolated("say which items are sensitive: their events are left out"):
            return get_catalogue().sensitive(item_ids)
    return set(item_ids)
