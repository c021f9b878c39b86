"""The newest lists of a placement, and how many products they reached."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from django_sessrec import database

LISTS: Final = 2_000  # looked at
DAYS: Final = 7  # not older

SQL: Final = """
WITH latest AS MATERIALIZED (
    SELECT item_ids FROM sessrec_impression
    WHERE placement = %(placement)s AND NOT bot AND cardinality(item_ids) > 0 AND shown_at >= %(since)s
    ORDER BY impression_id DESC LIMIT %(lists)s
)
SELECT count(*), (SELECT count(DISTINCT item_id) FROM latest, unnest(item_ids) AS item_id) FROM latest
"""


def products_reached(placement: str) -> tuple[int, int]:
    """How many lists there are, of the newest LISTS of DAYS days, and how many different products in them.

    Without bots, and without the empty lists of experiments.
    """
    values: dict[str, Any] = {
        "placement": placement,
        "since": timezone.now() - timedelta(days=DAYS),
        "lists": LISTS,
    }
    with database.connection().cursor() as cursor:
        cursor.execute(SQL, values)
        lists, products = cursor.fetchone()
        return lists, products
