"""What a day's sums say, and how old they are."""

from datetime import timedelta

from django.utils import timezone

from django_sessrec.measuring.days import day_of
from django_sessrec.measuring.kpis import figures
from django_sessrec.models import RolledUpDay
from tests.support.history import NOON


def money(currency="EUR"):
    """The sales of the day with orders."""
    day = day_of(NOON)
    return figures(day, day)[()].money[currency]


def age(hours=2):
    """Let the roll-ups so far be older."""
    RolledUpDay.objects.update(rolled_up_at=timezone.now() - timedelta(hours=hours))
