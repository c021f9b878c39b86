"""A pilot's shadow: the lists that its variants would show to the latest sessions, made off the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from statistics import fmean
from typing import Final
from uuid import UUID

from django.db.models import Max
from django.utils import timezone

from django_sessrec.models import Impression
from django_sessrec.serving.candidate import MODEL, Candidate
from django_sessrec.serving.choose import choose
from django_sessrec.serving.placements import Placement, variants_of
from django_sessrec.serving.visit import Visit, stored_visit

SESSIONS: Final = 40  # whose lists a page can wait for
WITHIN: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Shadow:
    """A variant's lists beside the control's, for the same sessions; shares are 0 to 1.

    - `other_first`: lists that would start with another item
    - `shared`: items of the control's list that this one has too, on average
    - `filled`: lists as long as the variant's
    - `answered`: lists that the variant's first model would make
    """

    variant: str
    lists: int
    other_first: float
    shared: float
    filled: float
    answered: float


def shadow(placement: str) -> list[Shadow]:
    """Every variant but the control of the placement's running experiment; empty without sessions."""
    placements = [each.placement for each in variants_of(placement)]
    visits = [stored_visit(session_id) for session_id in _latest(placement)]
    if not placements or not visits:
        return []
    control, *others = placements
    usual = [_chosen(visit, control) for visit in visits]
    return [
        _beside(other, usual, [_chosen(visit, other) for visit in visits])
        for other in others
        if not other.holdout
    ]


def _latest(placement: str) -> list[UUID]:
    """The sessions with the latest lists in the placement."""
    shown = Impression.objects.filter(placement=placement, bot=False, shown_at__gte=timezone.now() - WITHIN)
    latest = shown.values("session_id").annotate(at=Max("shown_at")).order_by("-at")
    return list(latest.values_list("session_id", flat=True)[:SESSIONS])


def _chosen(visit: Visit, placement: Placement) -> list[Candidate]:
    return choose(visit, placement).chosen


def _beside(placement: Placement, usual: list[list[Candidate]], lists: list[list[Candidate]]) -> Shadow:
    ids = [[[each.item_id for each in found] for found in some] for some in (usual, lists)]
    pairs = list(zip(*ids, strict=True))
    model = next(iter(placement.models), "")
    by_model = [any(each.step == MODEL and each.model == model for each in found) for found in lists]
    return Shadow(
        placement.variant,
        len(lists),
        fmean(one[:1] != other[:1] for one, other in pairs),
        fmean(len({*one} & {*other}) / max(1, len(one)) for one, other in pairs),
        fmean(len(found) >= placement.limit for found in lists),
        fmean(by_model),
    )
