"""The gate: whether a new model may serve, judged by clicks that none of the compared models has seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

FEWEST_CASES = 30
"""Clicks to predict; on fewer, one lucky hit moves a figure by more than the models differ."""

FIGURES = {"hr@20": "HR@20", "mrr@20": "MRR@20"}

Figures = Mapping[str, Any]
"""What recsys.evaluation.Report.as_dict() gives."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Passed or not, and the sentences that say why, in the language that is active."""

    passed: bool
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.reasons)


def verdict(figures: Mapping[str, Figures], *, tolerance: float) -> Verdict:
    """Judge figures of the same cases: the "candidate"'s beside those of the other models, if any.

    "incumbent": of the run of this model that serves.
    "next":      of the "model" that answers where this one doesn't.
    "baseline":  of popularity.
    tolerance:   share of the figures of what serves that the candidate may lose.
    """
    candidate = figures["candidate"]
    if candidate["cases"] < FEWEST_CASES:
        too_few = _("Only %(cases)d clicks to predict in the last days; at least %(fewest)d are needed.")
        return Verdict(False, (too_few % {"cases": candidate["cases"], "fewest": FEWEST_CASES},))
    if not all(math.isfinite(candidate[key]) for key in FIGURES):
        return Verdict(False, (_("Its figures are not numbers: the training run diverged."),))
    others = list(_others(figures, 1 - tolerance))
    objections = tuple(
        _("%(figure)s of %(own).2f is too low: %(theirs).2f for %(other)s.")
        % {"figure": label, "own": candidate[key], "other": name, "theirs": theirs[key]}
        for name, theirs, share in others
        for key, label in FIGURES.items()
        if candidate[key] < theirs[key] * share
    )
    return Verdict(not objections, objections or tuple(_praise(candidate, others)))


def _others(figures: Mapping[str, Figures], share: float) -> Iterator[tuple[str, Figures, float]]:
    """What each is called, its figures, and the share of them that the candidate needs."""
    if "incumbent" in figures:
        yield _("the model in service"), figures["incumbent"], share
    if "next" in figures:
        yield _("%(model)s (next model in line)") % figures["next"], figures["next"], share
    if "baseline" in figures:
        yield _("the most popular items"), figures["baseline"], 1.0


def _praise(candidate: Figures, others: Sequence[tuple[str, Figures, float]]) -> Iterator[str]:
    yield _("HR@20 %(hr).2f and MRR@20 %(mrr).2f on %(cases)d clicks.") % _shown(candidate)
    for name, figures, _share in others:
        yield _("%(other)s: %(hr).2f and %(mrr).2f.") % {"other": name.capitalize(), **_shown(figures)}


def _shown(figures: Figures) -> dict[str, Any]:
    return {"hr": figures["hr@20"], "mrr": figures["mrr@20"], "cases": figures["cases"]}
