"""The ledger: rows sent, by day and outcome, for the admin and Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Sum

from django_sessrec.models import Ledger


class Counts(NamedTuple):
    """Rows by outcome. Each that was sent is in one of the first five; replayed ones are in two."""

    stored: int = 0
    duplicate: int = 0
    failed: int = 0
    refused: int = 0
    withdrawn: int = 0
    replayed: int = 0

    @property
    def sent(self) -> int:
        return self.stored + self.duplicate + self.failed + self.refused + self.withdrawn - self.replayed


def by_day(days: int) -> dict[date, Counts]:
    """The last `days` days (UTC), the latest first; days on which nothing came are left out."""
    first = datetime.now(UTC).date() - timedelta(days - 1)
    sums = Ledger.objects.filter(day__gte=first).values("day").annotate(**_sums()).order_by("-day")
    found: Iterable[Mapping[str, Any]] = sums
    return {row["day"]: Counts(*(row[f"sum_{name}"] for name in Counts._fields)) for row in found}


def total() -> Counts:
    """All that was ever counted; no figure ever falls."""
    sums = Ledger.objects.aggregate(**_sums())
    return Counts(*(sums[f"sum_{name}"] or 0 for name in Counts._fields))


def _sums() -> dict[str, Sum]:
    return {f"sum_{name}": Sum(name) for name in Counts._fields}
