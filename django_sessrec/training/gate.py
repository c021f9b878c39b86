"""May a new model take over? Only if it stands its ground on clicks that none of the models has seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

FEWEST_CASES = 30
"""Clicks to foretell; on fewer, one lucky guess moves a figure by more than the models differ."""

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


def verdict(
    candidate: Figures, incumbent: Figures | None, baseline: Figures | None, *, tolerance: float
) -> Verdict:
    """Judge figures of the same cases.

    incumbent: of the model in service, None where there is none to compare with.
    baseline:  of popularity, None where the candidate is popularity itself.
    tolerance: share of the incumbent's figures that the candidate may lose.
    """
    if candidate["cases"] < FEWEST_CASES:
        too_few = _("Only %(cases)d clicks to foretell in the last days; at least %(fewest)d are needed.")
        return Verdict(False, (too_few % {"cases": candidate["cases"], "fewest": FEWEST_CASES},))
    if not all(math.isfinite(candidate[key]) for key in FIGURES):
        return Verdict(False, (_("Its figures are not numbers: its training diverged."),))
    rivals = []
    if incumbent is not None:
        rivals.append((_("the model in service"), incumbent, 1 - tolerance))
    if baseline is not None:
        rivals.append((_("what is merely popular"), baseline, 1.0))
    objections = tuple(
        _("%(figure)s of %(own).2f is too low: %(rival)s has %(theirs).2f.")
        % {"figure": label, "own": candidate[key], "rival": name, "theirs": figures[key]}
        for name, figures, share in rivals
        for key, label in FIGURES.items()
        if candidate[key] < figures[key] * share
    )
    return Verdict(not objections, objections or tuple(_praise(candidate, rivals)))


def _praise(candidate: Figures, rivals: Sequence[tuple[str, Figures, float]]) -> Iterator[str]:
    yield _("HR@20 %(hr).2f and MRR@20 %(mrr).2f on %(cases)d clicks.") % _shown(candidate)
    for name, figures, _share in rivals:
        yield _("%(rival)s: %(hr).2f and %(mrr).2f.") % {"rival": name.capitalize(), **_shown(figures)}


def _shown(figures: Figures) -> dict[str, Any]:
    return {"hr": figures["hr@20"], "mrr": figures["mrr@20"], "cases": figures["cases"]}
