"""Examination of the sums by day: whether the schedule makes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_sessrec.figure_models import RolledUpDay
from django_sessrec.measuring import rollups
from django_sessrec.measuring.days import ONE, today
from django_sessrec.models import Event, Impression
from django_sessrec.operations.findings import Code, Finding, ago, ok, warn

LATE: Final = timedelta(minutes=30)  # the schedule makes them every five minutes


def figures() -> Iterator[Finding]:
    """Sums that the schedule does not make, or not of every day that has rows."""
    if not (Event.objects.exists() or Impression.objects.exists()):
        yield ok(Code.FIGURES_NONE, _("Nothing is there yet that could be counted."))
        return
    past = RolledUpDay.objects.filter(rolled_up_at__lte=timezone.now())  # others: by a clock put back since
    made = past.aggregate(at=Max("rolled_up_at"))["at"]
    remedy = _("Let beat run sessrec-roll-up every five minutes, or run manage.py sessrec_rollup at once.")
    if made is None:
        yield warn(Code.FIGURES_STALE, _("The sums that pages show were never made."), remedy)
        return
    due = rollups.due_days()
    if made < timezone.now() - LATE:
        days = ngettext("%d day waits.", "%d days wait.", len(due)) % len(due)
        message = _("The sums that pages show were last made %(ago)s.") % {"ago": ago(made)}
        yield warn(Code.FIGURES_STALE, f"{message} {days}", remedy)
        return
    known = set(RolledUpDay.objects.values_list("day", flat=True))
    if missing := [day for day in due if day not in known and day < today() - ONE]:
        yield warn(
            Code.FIGURES_STALE,
            ngettext(
                "%(count)d day has no sums, %(day)s the first.",
                "%(count)d days have no sums, %(day)s the first.",
                len(missing),
            )
            % {"count": len(missing), "day": min(missing)},
            _("Run manage.py sessrec_rollup: it says why a day can't be made."),
        )
        return
    yield ok(Code.FIGURES_FRESH, _("The sums that pages show were made %(ago)s.") % {"ago": ago(made)})
