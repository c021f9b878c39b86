"""Item churn: how many of the products in lists a week ago the shop does not offer any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Sum

from django_sessrec.catalogue import get_catalogue
from django_sessrec.figure_models import DailyCatalogue, DailyItem
from django_sessrec.measuring.days import today

AGE: Final = timedelta(days=7)
WEEK: Final = timedelta(days=6)
MOST: Final = 2_000  # products looked at: those in most lists


def count_churn() -> bool:
    """Ask the catalogue once a day; whether it was asked now. Raises what it raises in `resolve`."""
    day = today()
    if DailyCatalogue.objects.filter(day=day).exists():
        return False
    shown = DailyItem.objects.filter(day__range=(day - AGE - WEEK, day - AGE), shown__gt=0).values("item_id")
    most = shown.annotate(lists=Sum("shown")).order_by("-lists", "item_id")[:MOST]
    item_ids = [row["item_id"] for row in most]
    if not item_ids:
        return False
    offered = get_catalogue().resolve(item_ids)
    gone = sum(item_id not in offered for item_id in item_ids)
    DailyCatalogue.objects.update_or_create(day=day, defaults={"looked_at": len(item_ids), "gone": gone})
    return True
