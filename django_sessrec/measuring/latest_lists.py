"""The newest lists of a placement: how many were full, and how many products they reached."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from django_sessrec import database
from django_sessrec.experiment_models import HOLDOUT

LISTS: Final = 2_000  # looked at
DAYS: Final = 7  # not older

SQL: Final = """
WITH latest AS MATERIALIZED (
    SELECT item_ids FROM sessrec_impression
    WHERE placement = %(placement)s AND NOT bot AND step <> %(holdout)s AND shown_at >= %(since)s
    ORDER BY impression_id DESC LIMIT %(lists)s
)
SELECT count(*), count(*) FILTER (WHERE cardinality(item_ids) >= %(limit)s),
       coalesce(sum(cardinality(item_ids)), 0),
       (SELECT count(DISTINCT item_id) FROM latest, unnest(item_ids) AS item_id)
FROM latest
"""


@dataclass(frozen=True, slots=True)
class LatestLists:
    """Counts of lists, of those that were full, of products in them, and of different products."""

    lists: int
    full: int
    shown: int
    products: int


def latest_lists(placement: str, limit: int) -> LatestLists:
    """Of the newest LISTS lists of DAYS days, without bots and holdouts; limit: products of a full list."""
    values: dict[str, Any] = {
        "placement": placement,
        "holdout": HOLDOUT,
        "since": timezone.now() - timedelta(days=DAYS),
        "lists": LISTS,
        "limit": limit,
    }
    with database.connection().cursor() as cursor:
        cursor.execute(SQL, values)
        return LatestLists(*map(int, cursor.fetchone()))
