"""Popular items of the last days: the popular step before any model was trained."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from django.utils import timezone

from django_sessrec.capture.fast_query import bounded
from django_sessrec.models import Event, EventName, Quarantine
from django_sessrec.safety import isolated
from django_sessrec.serving.ttl import CachedValue

SAMPLE = 5_000  # newest views counted: bounds what a busy shop without a model pays
DAYS = 14
KEPT = 200
REFRESH_SECONDS = 60


def viewed_lately() -> list[str]:
    """Item ids by the number of sessions that viewed them, most first, at most REFRESH_SECONDS old."""
    return _lately.get(REFRESH_SECONDS)


def forget() -> None:
    """Count anew when next asked."""
    _lately.forget()


def _counted(current: list[str]) -> list[str]:
    with isolated("count what was viewed lately"), bounded(expensive=True):
        views = (
            Event.objects.filter(
                name=EventName.VIEW_ITEM, bot=False, occurred_at__gte=timezone.now() - timedelta(days=DAYS)
            )
            .exclude(session_id__in=Quarantine.objects.filter(released_at=None).values("session_id"))
            .order_by("-event_id")
            .values_list("item_id", "session_id")[:SAMPLE]
        )
        once_per_session = dict.fromkeys(views)  # one visitor can't push an item by reloading it
        return [item for item, _ in Counter(item for item, _ in once_per_session).most_common(KEPT)]
    return current


_lately: CachedValue[list[str]] = CachedValue([], _counted)
