"""The gate: whether a new model may serve, judged by clicks that none of the compared models has seen.

A model is judged by what its placements show: where they hide what the session has viewed, by the clicks on
new items alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from django_sessrec.conf import sessrec_settings
from django_sessrec.localised import number
from django_sessrec.serving.placements import placement_for, variants_of

FEWEST_CASES = 30
"""Clicks to predict; on fewer, one lucky hit moves a figure by more than the models differ."""

FIGURES = {"hr@20": "HR@20", "mrr@20": "MRR@20"}
NEW_FIGURES = {
    "hr@20_new": gettext_noop("HR@20 (new products)"),
    "mrr@20_new": gettext_noop("MRR@20 (new products)"),
}

BOTH = "both"
Figures = Mapping[str, Any]
"""What recsys.evaluation.Report.as_dict() gives."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Passed or not, and the sentences that say why, in the language that is active."""

    passed: bool
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.reasons)


def shows_known(model: str) -> frozenset[bool]:
    """Whether the placements of a model show items that the session knows: some may, and others not.

    A model that no placement names is judged as by one that shows everything.
    """
    placements = [
        placement
        for name in sessrec_settings.PLACEMENTS
        for placement in (placement_for(name), *(each.placement for each in variants_of(name)))
    ]
    return frozenset(not each.hide_viewed for each in placements if model in each.models) or frozenset({True})


def verdict(
    figures: Mapping[str, Figures],
    *,
    tolerance: float,
    shows_known: Collection[bool] = (True,),
    judged_by: str = BOTH,
    on_baskets: bool = False,
) -> Verdict:
    """Judge figures of the same cases: the "candidate"'s beside those of the other models, if any.

    "incumbent": of the run of this model that serves.
    "next":      of the "model" that answers where this one doesn't; objects only without an incumbent.
    "baseline":  of popularity.
    tolerance:   share of the figures of what serves that the candidate may lose.
    shows_known: whether its lists show what the session has viewed; both, where some do. Where too few clicks
                 are on new items to judge lists without the others, all clicks count.
    judged_by:   the figure that decides, "hr" or "mrr", or BOTH; the others are said as well.
    on_baskets:  whether the cases are products of baskets, each predicted from those before it, not clicks.
    """
    candidate = figures["candidate"]
    if candidate["cases"] < FEWEST_CASES:
        too_few = (
            _(
                "Only %(cases)d products of baskets to predict in the last days; at least %(fewest)d are "
                "needed."
            )
            if on_baskets
            else _("Only %(cases)d clicks to predict in the last days; at least %(fewest)d are needed.")
        )
        return Verdict(False, (too_few % {"cases": candidate["cases"], "fewest": FEWEST_CASES},))
    if not all(math.isfinite(candidate[key]) for key in FIGURES):
        return Verdict(False, (_("Its figures are not numbers: the training run diverged."),))
    new_count = candidate.get("cases_new", 0) >= FEWEST_CASES
    shown = {
        **(FIGURES if True in shows_known or not new_count else {}),
        **(NEW_FIGURES if False in shows_known and new_count else {}),
    }
    others = list(_others(figures, 1 - tolerance))
    objections = tuple(
        _("%(figure)s of %(own)s is too low: %(theirs)s for %(other)s.")
        % {
            "figure": _(label) if key in NEW_FIGURES else label,
            "own": number(candidate[key], 2),
            "other": name,
            "theirs": number(theirs[key], 2),
        }
        for name, theirs, share in others
        for key, label in shown.items()
        if judged_by in (BOTH, key.partition("@")[0])
        if candidate[key] < theirs[key] * share
    )
    return Verdict(not objections, objections or tuple(_praise(candidate, others, shown, on_baskets)))


def _others(figures: Mapping[str, Figures], share: float) -> Iterator[tuple[str, Figures, float]]:
    """What each is called, its figures, and the share of them that the candidate needs."""
    if "incumbent" in figures:
        yield _("the model in service"), figures["incumbent"], share
    if "next" in figures:
        objects = "incumbent" not in figures  # else the worse predecessor would go on serving
        yield _("%(model)s (next model in line)") % figures["next"], figures["next"], share * objects
    if "baseline" in figures:
        yield _("the most popular items"), figures["baseline"], 1.0


def _praise(
    candidate: Figures, others: Sequence[tuple[str, Figures, float]], told: Collection[str], on_baskets: bool
) -> Iterator[str]:
    """The figures that the candidate passed with, and those of the other models."""
    if FIGURES.keys() <= set(told):
        on_all = (
            _("HR@20 %(hr)s and MRR@20 %(mrr)s on %(cases)s products of baskets.")
            if on_baskets
            else _("HR@20 %(hr)s and MRR@20 %(mrr)s on %(cases)s clicks.")
        )
        yield on_all % _shown(candidate)
        for name, figures, _share in others:
            yield _("%(other)s: %(hr)s and %(mrr)s.") % {"other": capfirst(name), **_shown(figures)}
    if NEW_FIGURES.keys() <= set(told):
        on_new = (
            _(
                "HR@20 %(hr)s and MRR@20 %(mrr)s on %(cases)s products of baskets, in lists without "
                "what is in the basket."
            )
            if on_baskets
            else _("HR@20 %(hr)s and MRR@20 %(mrr)s on %(cases)s clicks on products new to the session.")
        )
        yield on_new % _shown(candidate, "_new")
        for name, figures, _share in others:
            shown = {"other": capfirst(name), **_shown(figures, "_new")}
            yield _("%(other)s: %(hr)s and %(mrr)s.") % shown


def _shown(figures: Figures, of: str = "") -> dict[str, str]:
    return {
        "hr": number(figures[f"hr@20{of}"], 2),
        "mrr": number(figures[f"mrr@20{of}"], 2),
        "cases": number(figures[f"cases{of}"]),
    }
