"""An experiment's clicked lists by how many products the session had clicked before the list."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from django_sessrec.admin.formatting import NONE, Cell, points, share, whole
from django_sessrec.experiment_models import Experiment
from django_sessrec.measuring.comparison import difference
from django_sessrec.measuring.daily import SESSION_LENGTHS
from django_sessrec.measuring.days import day_of
from django_sessrec.measuring.kpis import Kpi, figures


def by_session_length(experiment: Experiment) -> dict[str, Any] | None:
    """The table of includes/kpis.html: every variant at every length, held against the control.

    By the whole days of the experiment. None before lists are counted, and for interleaving, where a list
    belongs to both models.
    """
    since = experiment.counted_from if experiment.is_counted else None
    if since is None or experiment.kind == Experiment.Kind.INTERLEAVING:
        return None
    days = day_of(since), day_of(experiment.stopped_at or timezone.now())
    found = figures(*days, ("experiment", "variant", "session_length"))
    control, *others = (each.name for each in experiment.variants.all())
    rows = []
    for length in SESSION_LENGTHS:
        usual = found.get((experiment.name, control, length), Kpi())
        for variant in (control, *others):
            kpi = found.get((experiment.name, variant, length))
            if kpi is not None:
                against = difference(kpi.rate("ctr"), usual.rate("ctr")) if variant in others else None
                rows.append(((length, variant), _cells(kpi, points(against))))
    headings = [heading for heading, _cell in _cells(Kpi(), Cell(NONE))]
    return {"keys": (_("Clicks before"), _("Variant")), "headings": headings, "rows": rows} if rows else None


def _cells(kpi: Kpi, against: Cell) -> list[tuple[str, Cell]]:
    return [
        (_("Lists"), Cell(whole(kpi.impressions))),
        (_("Clicked lists"), share(kpi.rate("ctr"))),
        (_("Against the control"), against),
    ]
