"""Days as people pick them, and the moments between which their rows lie."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_sessrec.measuring.days import today

DAYS_SHOWN = 30
DAYS_AT_MOST = 366


def first_moment(day: date) -> datetime:
    """Midnight of a day in the time zone of who looks."""
    return timezone.make_aware(datetime.combine(day, time.min))


class DayInput(forms.DateInput):
    """The browser's own picker, which speaks ISO dates only."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class PeriodForm(forms.Form):
    """From one day to another, both inclusive; the last 30 days where nothing is chosen."""

    start = forms.DateField(label=_("From"), required=False, widget=DayInput)
    end = forms.DateField(label=_("To"), required=False, widget=DayInput)

    def clean(self) -> dict[str, date]:
        given = super().clean() or {}
        end = given.get("end") or today()
        start = given.get("start") or end - timedelta(days=DAYS_SHOWN - 1)
        if start > end:
            raise ValidationError(_("The period ends before it starts: swap the two days."))
        if (end - start).days >= DAYS_AT_MOST:
            raise ValidationError(_("Choose at most %(days)d days."), params={"days": DAYS_AT_MOST})
        return {"start": start, "end": end}
