"""The main parameters behind a placement's list, from the live settings, for visitors (DSA 27, P2B 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_sessrec.capture.consent import Level
from django_sessrec.capture.cookie import LONGEST_SESSION
from django_sessrec.conf import sessrec_settings

# What the estimators of this package go by, under their classes' names.
IN_PLAIN_WORDS = {
    "Popularity": gettext_lazy("what many visitors look at these days"),
    "ItemKNN": gettext_lazy("products that are often viewed in the same visit"),
    "Neighbours": gettext_lazy("earlier visits that are like this one, and where they went next"),
    "TunedNeighbours": gettext_lazy("earlier visits that are like this one, and where they went next"),
    "GRU4Rec": gettext_lazy("a neural network that learnt the usual order of clicks from earlier visits"),
    "SASRec": gettext_lazy("a neural network that learnt which clicks matter most for the next one"),
    "SRGNN": gettext_lazy("a neural network that learnt the paths between products from earlier visits"),
    "Blend": gettext_lazy("a mix of several methods that all learnt from earlier visits"),
    "Ranked": gettext_lazy(
        "a neural network that sorts what earlier visits like this one, products viewed together and the "
        "usual order of clicks suggest"
    ),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes a list: of the placement, or of one variant of its experiment."""

    methods: list[str]  # in the order in which they are asked
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
    )


def _rules(settings: Mapping[str, Any], share: int = 100) -> Rules:
    return Rules(
        methods=list(dict.fromkeys(_in_plain_words(model) for model in settings["MODELS"])),
        limit=settings["LIMIT"],
        pinned=len(settings["PINNED"]),
        sponsored=len(settings["SPONSORED"]),
        excluded=len(settings["EXCLUDED"]),
        hide_viewed=settings["HIDE_VIEWED"],
        max_per_category=settings["MAX_PER_CATEGORY"],
        share=share,
    )


def _in_plain_words(model: str) -> str:
    """What the model goes by; one of the shop's own is called by its key."""
    estimator = sessrec_settings.model(model)["ESTIMATOR"].rpartition(".")[2]
    if estimator in IN_PLAIN_WORDS:
        return str(IN_PLAIN_WORDS[estimator])
    return _("a method of this shop's own, called “%(model)s”") % {"model": model}
