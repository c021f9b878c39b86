"""Experiments as staff make them, and sessions that take part."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import reverse

from django_sessrec.experiment_models import Experiment, Variant
from django_sessrec.ids import uuid7
from tests.support.history import buy, click, minutes, show

MODELS = {"old": {"MODELS": ["itemknn"]}, "new": {"MODELS": ["neighbours"]}}


def an_experiment(name: str = "Does it pay?", *, variants: Mapping[str, Any] = MODELS, **columns: Any):
    """Store one, by default a draft of two models; `variants`: name -> changes, or None for a holdout."""
    experiment = Experiment.objects.create(**{"name": name, "placement": "product_page", **columns})
    for place, (variant, changes) in enumerate(variants.items()):
        Variant.objects.create(
            experiment=experiment, name=variant, place=place, changes=changes or {}, holdout=changes is None
        )
    return experiment


def a_running_one(at: datetime, name: str = "Does it pay?", **columns: Any):
    """One that is counted from `at` on."""
    given = {"state": "running", "counted_from": at, "tuned_for": 1_000, "currency": "EUR", **columns}
    experiment = an_experiment(name, **given)
    for variant in experiment.variants.all():
        variant.model = variant.changes.get("MODELS", [""])[0]
        variant.save()
    return experiment


def takes_part(
    at: datetime,
    variant: str,
    *,
    lists: int = 1,
    clicks: int = 0,
    spends: float | None = None,
    experiment: str = "Does it pay?",
    **columns: Any,
) -> UUID:
    """One session: its lists of two items, a click on the first item of the first few, and an order."""
    session_id = uuid7(at)
    given = {"model": MODELS.get(variant, {"MODELS": [""]})["MODELS"][0], **columns}
    for number in range(lists):
        when = at + minutes(number)
        shown = show(session_id, when, ["1", "2"], experiment=experiment, variant=variant, **given)
        if number < clicks:
            click(session_id, when + minutes(0.5), "1", shown)
    if spends is not None:
        buy(session_id, at + minutes(lists), "7", spends)
    return session_id


def page_of(experiment: Experiment) -> str:
    """The address of its page in the admin."""
    return reverse("admin:sessrec_experiment_change", args=[experiment.pk])
