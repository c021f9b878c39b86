"""Placements: defaults, settings and variant merged in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django_sessrec.conf import sessrec_settings
from django_sessrec.conf.entries import MAX_LIMIT
from django_sessrec.experiment_models import INTERLEAVED
from django_sessrec.safety import isolated, swallowed, warn
from django_sessrec.serving import experiments, merchant_rules
from django_sessrec.serving.experiments import RunningExperiment
from django_sessrec.serving.merchant_rules import Merchandising
from django_sessrec.serving.visit import Visit

MIXED, ROWS, OFF = "mixed", "rows", "off"  # what INTENTS may be


@dataclass(frozen=True, slots=True)
class Placement:
    """A placement's settings for one visit. The settings reference explains each."""

    name: str
    models: tuple[str, ...] = ()  # keys in SESSREC["MODELS"], in the order to ask
    steps: tuple[str, ...] = ()  # of the fallback, in the order to ask; empty for the usual ones
    intents: str = MIXED  # or ROWS or OFF
    limit: int = 8
    template: str = "sessrec/recommendations.html"
    title: Any = None  # text, maybe lazily translated; None for the default
    fallback_title: Any = None  # over a list that nothing of the visit or the page has made
    pinned: tuple[str, ...] = ()
    sponsored: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    hide_viewed: bool = True
    hide_bought_categories: bool = True
    new_products: int = 1  # places of the list for products that the model does not know
    variety: float = 0.0  # 0 leaves the order to relevance, 1 looks at unlikeness alone
    rotate_after: int | None = None  # lists of a session with an item that nobody clicked
    explore: float = 0.0  # probability of a place to go to any of the candidates
    max_per_category: int | None = None
    rules: tuple[Any, ...] = ()  # dotted paths, or the rules themselves
    experiment: str = ""  # that the session takes part in
    variant: str = ""
    holdout: bool = False  # the variant is a list without items
    teams: tuple[Placement, ...] = ()  # two variants whose lists are interleaved
    merchandising: Merchandising = merchant_rules.NONE  # the rules that the merchant has made in the admin


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant of a placement's experiment, and the placement as its sessions get it."""

    placement: Placement
    share: float  # of the sessions that take part, 0 to 1


def placement_for(
    name: str,
    visit: Visit | None = None,
    *,
    limit: Any = None,
    merchandising: Merchandising | None = None,
) -> Placement:
    """The placement as this visit gets it: defaults < settings < the merchant's rows < variant < `limit`.

    Raises ImproperlyConfigured for a name that SESSREC["PLACEMENTS"] lacks. An experiment that can't be
    read is logged, and the visit gets the placement as it is without.

    `limit` is a whole number from 1 to MAX_LIMIT, also as text. One out of range is logged, and the nearest
    is taken; any other value is logged and ignored.

    `merchandising` stands in place of the rules that are live, for a preview.
    """
    settings = {**sessrec_settings.placement(name), **experiments.kept(name)}
    if merchandising is None:
        merchandising = merchant_rules.live(name)
    if visit is not None and visit.session_id is not None:
        try:
            experiment = experiments.running(name, settings["EXPERIMENT"])
            if experiment and (variant := experiment.variant_of(visit.session_id)):
                return _as_in(name, settings, merchandising, experiment, variant, limit)
        except Exception as error:
            if not swallowed(f"assign a variant of the placement {name!r}", error):
                raise
    return _merged(name, settings, merchandising, {}, limit=limit)


def variants_of(name: str) -> list[Variant]:
    """Every variant of the placement's experiment; empty where it has none, or one that can't be read."""
    settings = {**sessrec_settings.placement(name), **experiments.kept(name)}
    merchandising = merchant_rules.live(name)
    with isolated("read the variants of an experiment", about=name):
        if experiment := experiments.running(name, settings["EXPERIMENT"]):
            total = sum(each["SHARE"] for each in experiment.variants.values())
            return [
                Variant(_as_in(name, settings, merchandising, experiment, variant), each["SHARE"] / total)
                for variant, each in experiment.variants.items()
            ]
    return []


def _as_in(
    name: str,
    settings: Mapping[str, Any],
    merchandising: Merchandising,
    experiment: RunningExperiment,
    variant: str,
    limit: Any = None,
) -> Placement:
    """The placement as the sessions of one variant get it."""
    interleaved = variant == INTERLEAVED
    changes = {} if interleaved else experiment.variants[variant]
    settled = _merged(name, settings, merchandising, changes, experiment.name, variant, limit=limit)
    if interleaved:
        arms = experiment.variants
        teams = [_as_in(name, settings, merchandising, experiment, each, limit) for each in arms]
        return replace(settled, teams=tuple(teams))
    return replace(settled, holdout=True) if variant in experiment.holdouts else settled


def _merged(
    name: str,
    settings: Mapping[str, Any],
    merchandising: Merchandising,
    variant: Mapping[str, Any],
    experiment: str = "",
    variant_name: str = "",
    *,
    limit: Any = None,
) -> Placement:
    """The one place where what may change a placement is put over one another, later ones winning."""
    merged = {**settings, **merchandising.changes, **variant}
    wanted = merged["LIMIT"]
    if limit is not None and limit != "":
        try:
            wanted = int(limit)
        except Exception as error:
            if not swallowed(f"read the limit of the placement {name!r}", error, about=f"limit {limit!r}"):
                raise
        else:
            if not 1 <= wanted <= MAX_LIMIT:
                message = "limit=%s for a list of the placement %r: it is taken between 1 and %s"
                warn(message, wanted, name, MAX_LIMIT)
    return Placement(
        name,
        models=tuple(merged["MODELS"]),
        steps=tuple(merged["STEPS"] or ()),
        intents=merged["INTENTS"],
        limit=max(1, min(int(wanted), MAX_LIMIT)),
        template=merged["TEMPLATE"],
        title=merged["TITLE"],
        fallback_title=merged["FALLBACK_TITLE"],
        pinned=tuple(map(str, merged["PINNED"])),
        sponsored=tuple(map(str, merged["SPONSORED"])),
        excluded=tuple(map(str, merged["EXCLUDED"])),
        hide_viewed=bool(merged["HIDE_VIEWED"]),
        hide_bought_categories=bool(merged["HIDE_BOUGHT_CATEGORIES"]),
        new_products=int(merged["NEW_PRODUCTS"]),
        variety=float(merged["VARIETY"]),
        rotate_after=merged["ROTATE_AFTER"],
        explore=float(merged["EXPLORE"]),
        max_per_category=merged["MAX_PER_CATEGORY"],
        rules=tuple(merged["RULES"]),
        experiment=experiment,
        variant=variant_name,
        merchandising=merchandising,
    )
