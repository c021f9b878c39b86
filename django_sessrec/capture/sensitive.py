"""Items that leave no trace, asked where a trace would begin."""

from __future__ import annotations

from collections.abc import Collection

from django_sessrec.catalogue import get_catalogue
from django_sessrec.safety import log


def sensitive_among(item_ids: Collection[str]) -> set[str]:
    """Which of the items are sensitive; all of them where the shop's catalogue can't say. Never raises."""
    try:
        return get_catalogue().sensitive(item_ids) if item_ids else set()
    except Exception as error:  # the shop's own code
        log("the catalogue could not say which items are sensitive: their events are left out", error)
        return set(item_ids)
