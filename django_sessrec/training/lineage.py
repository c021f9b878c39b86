"""From a neighbour model's past sessions back to the stored ones, so that a bad one can be taken out.

The model holds clicks without any id. Where a session began is known to the second, from its age and the
newest session that the run read: a stored session is the one if it began then with the same product and its
clicks contain the model's in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from django_sessrec import database
from django_sessrec.capture.event import CLICK_EVENTS
from django_sessrec.models import Event, TrainingRun
from django_sessrec.serving.families import family_of

TOLERANCE = timedelta(seconds=2)  # of a whole second, and of an age kept in 32 bits
LASTS = timedelta(days=1)


def stored_session(run: TrainingRun, item_ids: Sequence[str], age_days: float) -> UUID | None:
    """The id of the stored session with these clicks; None where it is erased, or the run can't tell when."""
    newest = run.counts.get("newest_session")
    if newest is None:
        return None
    began = datetime.fromtimestamp(newest, UTC) - timedelta(days=age_days)
    clicks = Event.objects.filter(name__in=CLICK_EVENTS, bot=False)
    near = {"occurred_at__gte": began - TOLERANCE, "occurred_at__lte": began + TOLERANCE}
    first = list(clicks.filter(**near).order_by("event_id").values_list("session_id", "item_id"))
    names = _names([item_id for _session_id, item_id in first])
    for session_id in dict.fromkeys(each for each, item_id in first if item_ids[0] in names[item_id]):
        of_session = clicks.filter(
            session_id=session_id, occurred_at__gte=began - TOLERANCE, occurred_at__lt=began + LASTS
        )
        in_order = of_session.order_by("occurred_at").values_list("occurred_at", "item_id")
        with database.values_apart():
            clicked = list(in_order)
        if _contains(clicked, item_ids):
            return UUID(str(session_id))
    return None


def _contains(clicked: Sequence[tuple[datetime, str]], item_ids: Sequence[str]) -> bool:
    """Whether the clicks, by time, hold these in order; those of one moment have none.

    Training leaves out reloads, and what bots push.
    """
    names = _names([item_id for _at, item_id in clicked])
    moments = [[names[item_id] for _at, item_id in each] for _at, each in groupby(clicked, itemgetter(0))]
    rest = iter(moments)
    left = next(rest, None)
    for item_id in item_ids:
        while left is not None and not any(item_id in each for each in left):
            left = next(rest, None)
        if left is None:
            return False
        left.remove(next(each for each in left if item_id in each))
    return True


def _names(item_ids: Sequence[str]) -> dict[str, set[str]]:
    """What a run may call each item: by its id, or as a variant by its family."""
    family = family_of(item_ids)
    return {item_id: {item_id, family.get(item_id, item_id)} for item_id in item_ids}
