"""What visitors look at now: the popular rung before any model was trained."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from django.utils import timezone

from django_sessrec.conf import sessrec_settings
from django_sessrec.faults import contained
from django_sessrec.models import Event, EventName, Quarantine
from django_sessrec.serving.refreshed import Refreshed

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
    with contained("count what was viewed lately"):
        views = (
            Event.objects.using(sessrec_settings.DATABASE)
            .filter(
                name=EventName.VIEW_ITEM, bot=False, occurred_at__gte=timezone.now() - timedelta(days=DAYS)
            )
            .exclude(
                session_id__in=Quarantine.objects.using(sessrec_settings.DATABASE)
                .filter(released_at=None)
                .values("session_id")
            )
            .order_by("-event_id")
            .values_list("item_id", "session_id")[:SAMPLE]
        )
        once_per_session = dict.fromkeys(views)  # one visitor can't push an item by reloading it
        return [item for item, _ in Counter(item for item, _ in once_per_session).most_common(KEPT)]
    return current


_lately: Refreshed[list[str]] = Refreshed([], _counted)
