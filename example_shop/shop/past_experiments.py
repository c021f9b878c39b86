"""The experiments of the past lists as the admin knows them, ended when their last list was shown."""

from datetime import date, datetime

from django.db import transaction

from django_sessrec.conf import sessrec_settings
from django_sessrec.experiment_models import Experiment, Variant
from django_sessrec.measuring.days import ONE, first_moment
from example_shop.shop.past_lists import MODEL, SAME, SAME_DAYS, WINNER, WINNER_DAYS

PLANNED = 3_000  # sessions


def remember(today: date, days: int) -> None:
    """Make those of which there are lists, which reach back so many days from today; all or none."""
    with transaction.atomic(using=sessrec_settings.DATABASE):
        if days >= SAME_DAYS[0]:
            reason = "both variants are the same: nothing to find, and nothing was found"
            _ended(SAME, "home", {"a": "", "b": ""}, _days(today, SAME_DAYS), reason)
        if days >= WINNER_DAYS[0]:
            reason = "the lists that follow the session are clicked more often"
            _ended(WINNER, "product_page", {"popular": "", MODEL: MODEL}, _days(today, WINNER_DAYS), reason)


def _ended(
    name: str,
    placement: str,
    models: dict[str, str],
    ran: tuple[datetime, datetime],
    reason: str,
) -> None:
    """One experiment, once; models: variant -> its first model."""
    experiment, new = Experiment.objects.get_or_create(
        name=name,
        defaults={
            "placement": placement,
            "goal": Experiment.Goal.CLICKS,
            "state": Experiment.State.STOPPED,
            "effect": 0.1,
            "created_by": "admin",
            "counted_from": ran[0],
            "stopped_at": ran[1],
            "stop_reason": reason,
            "tuned_for": PLANNED,
            "currency": "EUR",
        },
    )
    if new:
        Variant.objects.bulk_create(
            Variant(
                experiment=experiment,
                name=variant,
                place=place,
                share=50,
                changes={"MODELS": [model]} if model else {},
                model=model,
            )
            for place, (variant, model) in enumerate(models.items())
        )


def _days(today: date, ago: range) -> tuple[datetime, datetime]:
    """From the first midnight to the last, of days that are so many days ago."""
    first, last = (first_moment(today - days * ONE) for days in (ago[-1], ago[0] - 1))
    return first, last
