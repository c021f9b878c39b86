"""What staff changed on which day, for the flags of a chart: figures jump for a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext as _

from django_sessrec.admin.words import placement_name
from django_sessrec.experiment_models import Experiment
from django_sessrec.measuring.days import ONE, day_of, first_moment
from django_sessrec.models import AuditEntry
from django_sessrec.rule_models import RuleSet

Moments = Iterator[tuple[datetime, str]]


def flags(start: date, end: date, user: Any) -> Mapping[date, list[str]]:
    """Rules that went live, models that somebody promoted, experiments that began or ended, by day.

    user: who sees them; what she may not open is left out

    What the schedule promotes is left out: it does so every hour.
    """
    within = (first_moment(start), first_moment(end + ONE) - datetime.resolution)
    found: dict[date, list[str]] = {}
    told = list(_rules(within) if user.has_perm("sessrec.view_ruleset") else ())
    told += _models(within) if user.has_perm("sessrec.view_trainingrun") else ()
    told += _experiments(within) if user.has_perm("sessrec.view_experiment") else ()
    for moment, words in sorted(told):
        found.setdefault(day_of(moment), []).append(words)
    return found


def _rules(within: tuple[datetime, datetime]) -> Moments:
    live = RuleSet.objects.filter(published_at__range=within)
    for placement, moment in live.values_list("placement", "published_at"):
        if moment is not None:  # for mypy
            yield moment, _("rules of %(placement)s went live") % {"placement": placement_name(placement)}


def _models(within: tuple[datetime, datetime]) -> Moments:
    acts = (AuditEntry.Action.PROMOTE, AuditEntry.Action.ROLL_BACK)
    for entry in AuditEntry.objects.filter(action__in=acts, happened_at__range=within):
        yield entry.happened_at, _("%(run)s promoted") % {"run": entry.detail.get("run", "")}


def _experiments(within: tuple[datetime, datetime]) -> Moments:
    began = Experiment.objects.filter(counted_from__range=within).exclude(state=Experiment.State.WAITING)
    for name, moment in began.values_list("name", "counted_from"):
        yield moment, _("“%(name)s” began") % {"name": name}
    ended = Experiment.objects.filter(stopped_at__range=within)
    for name, moment in ended.values_list("name", "stopped_at"):
        yield moment, _("“%(name)s” ended") % {"name": name}
