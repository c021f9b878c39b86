"""The main parameters of a placement's list, for visitors: what serves, and the settings (DSA 27)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext as _

from django_sessrec.capture.consent import Level
from django_sessrec.capture.cookie import LONGEST_SESSION
from django_sessrec.conf import sessrec_settings
from django_sessrec.serving.active_models import active


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes a list: of the placement, or of one variant of its experiment."""

    methods: list[str]  # of the models that serve, in the order in which they are asked
    limit: int
    pinned: int
    sponsored: int
    excluded: int
    hide_viewed: bool
    max_per_category: int | None
    share: int = 100  # percent of the visits


@dataclass(frozen=True, slots=True)
class Explanation:
    placement: str
    title: str
    rules: Rules
    variants: list[Rules]  # of the running experiment; empty where there is none


@dataclass(frozen=True, slots=True)
class Visit:
    """What is used and kept of a visit."""

    consent: Level
    idle_minutes: float
    longest_hours: int
    retention_days: int | None  # None: without an end
    training_hours: int  # until every model is trained again


def explain(placement: str) -> Explanation:
    """The placement's parameters as they are now; raises ImproperlyConfigured for an unknown one."""
    settings = sessrec_settings.placement(placement)
    variants = (settings["EXPERIMENT"] or {}).get("VARIANTS", {}).values()
    total = sum(variant["SHARE"] for variant in variants)
    return Explanation(
        placement,
        title=str(settings["TITLE"] or _("You may also like")),
        rules=_rules(settings),
        variants=[
            _rules({**settings, **variant}, round(100 * variant["SHARE"] / total)) for variant in variants
        ],
    )


def explain_visit(consent: Level) -> Visit:
    """What is used and kept of a visit at this consent level."""
    return Visit(
        consent,
        idle_minutes=sessrec_settings.SESSION_IDLE_MINUTES,
        longest_hours=int(LONGEST_SESSION.total_seconds()) // 3600,
        retention_days=sessrec_settings.RETENTION_DAYS,
        training_hours=ceil(max(map(_training_hours, sessrec_settings.MODELS), default=0)),
    )


def _training_hours(model: str) -> float:
    hours: float = sessrec_settings.model(model)["EVERY_HOURS"]
    return hours


def _rules(settings: Mapping[str, Any], share: int = 100) -> Rules:
    return Rules(
        methods=list(dict.fromkeys(_methods(settings["MODELS"]))),
        limit=settings["LIMIT"],
        pinned=len(settings["PINNED"]),
        sponsored=len(settings["SPONSORED"]),
        excluded=len(settings["EXCLUDED"]),
        hide_viewed=settings["HIDE_VIEWED"],
        max_per_category=settings["MAX_PER_CATEGORY"],
        share=share,
    )


def _methods(models: Iterable[str]) -> Iterator[str]:
    """What each model that serves goes by, in the order in which they are asked."""
    for model in models:
        sessrec_settings.model(model)  # raises for one that is misspelt
        if (serving := active(model)) is not None:
            words = serving.recommender.describe()
            own = _("a method of this shop's own, called “%(model)s”")
            yield gettext(words) if words else own % {"model": model}
