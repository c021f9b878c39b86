"""Days as people pick them, and the moments between which their rows lie."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_sessrec.measuring.days import today

DAYS_SHOWN = 30
DAYS_AT_MOST = 366
# The calendar's first and last days have no period before them and none after them in every time zone.
FIRST_DAY: Final = date(1900, 1, 1)
LAST_DAY: Final = date(2999, 12, 31)


def first_moment(day: date) -> datetime:
    """Midnight of a day in the time zone of who looks."""
    return timezone.make_aware(datetime.combine(day, time.min))


class DayInput(forms.DateInput):
    """The browser's own picker, which speaks ISO dates only."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class DayField(forms.DateField):
    """A day that a shop can mean."""

    widget = DayInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validators=[MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)], **kwargs)


class LocalInput(forms.DateTimeInput):
    """The browser's own picker of day and time."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class MomentField(forms.DateTimeField):
    """A moment on a day that a shop can mean, in the time zone of who looks."""

    widget = LocalInput

    def __init__(self, **kwargs: Any) -> None:
        first, last = (datetime.combine(day, time.min, UTC) for day in (FIRST_DAY, LAST_DAY))
        super().__init__(validators=[MinValueValidator(first), MaxValueValidator(last)], **kwargs)


class PeriodForm(forms.Form):
    """From one day to another, both inclusive; the last 30 days where nothing is chosen."""

    start = DayField(label=_("From"), required=False)
    end = DayField(label=_("To"), required=False)

    def clean(self) -> dict[str, date]:
        given = super().clean() or {}
        end = given.get("end") or today()
        start = given.get("start") or end - timedelta(days=DAYS_SHOWN - 1)
        if start > end and not given.get("end"):
            raise ValidationError(_("The first day is in the future: choose today or an earlier one."))
        if start > end:
            raise ValidationError(_("The period ends before it starts: swap the two days."))
        if (end - start).days >= DAYS_AT_MOST:
            raise ValidationError(_("Choose at most %(days)d days."), params={"days": DAYS_AT_MOST})
        return {"start": start, "end": end}
