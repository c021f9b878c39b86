"""A training run's figures and curves, arranged for its page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_sessrec.admin.charts import Chart, Point, line_chart, table_of
from django_sessrec.admin.formatting import NONE, colon, fixed, percent, whole
from django_sessrec.conf import sessrec_settings
from django_sessrec.localised import significant
from django_sessrec.models import TrainingRun
from django_sessrec.training.dataset import TrainingCounts

LABELS = {
    "hr@20": gettext_lazy("Next click found among 20 (HR@20)"),
    "mrr@20": gettext_lazy("How high it stands in the list (MRR@20)"),
    "ndcg@20": gettext_lazy("How high it stands, with more weight on lower places (NDCG@20)"),
}
OF_GROUPS = "hr@20"
STAGES = {"read": 2, "fit": 46, "evaluate": 4, "refit": 46, "publish": 2}  # of a whole training run, about
WHERE_IT_IS = {"progress", "stage", "network", "share", "epoch", "batch"}  # of a report that is no figure


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table of figures, the candidate's first."""

    label: str
    cells: list[str]
    cases: str = NONE


def overall_progress(run: TrainingRun) -> float:
    """Share of the training run that is done, 0..1: each stage counts its own share from the beginning."""
    refits = sessrec_settings.MODELS.get(run.model, {}).get("REFIT", True)
    weights = {stage: weight for stage, weight in STAGES.items() if refits or stage != "refit"}
    if run.stage not in weights:
        return run.progress
    stages = list(weights)
    done = sum(weights[stage] for stage in stages[: stages.index(run.stage)])
    return (done + weights[run.stage] * run.progress) / sum(weights.values())


def stage_label(run: TrainingRun) -> str:
    """The stage in words."""
    labels = {
        "read": _("reading the clicks"),
        "fit": _("training"),
        "evaluate": _("testing"),
        "refit": _("training with the last days"),
        "publish": _("publishing"),
    }
    return labels.get(run.stage, run.stage)


def columns(run: TrainingRun) -> dict[str, str]:
    """Whose figures the run holds, the candidate first: key in run.figures -> heading."""
    known = {
        "candidate": _("This run"),
        "incumbent": _("In service before"),
        "next": _("%(model)s (next model in line)") % {"model": run.figures.get("next", {}).get("model", "")},
        "baseline": _("Most popular items"),
    }
    return {key: label for key, label in known.items() if key in run.figures}


def counts(run: TrainingRun) -> list[tuple[str, str]]:
    """What the run read and left out, in words."""
    known = {**TrainingCounts.labels(), "cases": _("Clicks predicted in the test")}
    if run.on_baskets:
        known |= {
            "sessions": _("Baskets"),
            "sessions_of_two": _("of two products or more"),
            "clicks": _("Products in baskets"),
            "cases": _("Products predicted in the test"),
        }
    return [(label, whole(run.counts[key])) for key, label in known.items() if key in run.counts]


def figure_rows(run: TrainingRun) -> list[Row]:
    """HR, MRR and the like over all cases, and over those whose product was new to the session."""
    labels = {
        **LABELS,
        "hr@20_new": _("Products new to the session found among 20 (HR@20)"),
        "mrr@20_new": _("How high products new to the session stand (MRR@20)"),
        "coverage@20": _("Share of the catalogue recommended"),
    }
    if run.on_baskets:
        labels |= {
            "hr@20": _("Next product of the basket found among 20 (HR@20)"),
            "hr@20_new": _("Found in lists without what is in the basket (HR@20)"),
            "mrr@20_new": _("How high it stands in lists without what is in the basket (MRR@20)"),
        }
    figures = [run.figures[key] for key in columns(run)]
    return [
        _row(str(label), [theirs.get(key) for theirs in figures])
        for key, label in labels.items()
        if any(_number(theirs.get(key)) for theirs in figures)
    ]


def group_rows(run: TrainingRun, groups: str, *, new: bool = False) -> list[Row]:
    """HR@20 by the clicks before the predicted one ("by_length"), or by intents ("by_intents").

    new: of the clicks on products new to the session, in lists without those that it viewed.
    """
    figure, cases = (f"{OF_GROUPS}_new", "cases_new") if new else (OF_GROUPS, "cases")
    reports = [run.figures[key].get(groups, {}) for key in columns(run)]
    names = reports[0] if reports and any(figure in group for group in reports[0].values()) else {}
    return [
        _row(name, [_of_group(report, name, figure, cases) for report in reports], names[name].get(cases))
        for name in sorted(names, key=lambda name: int(re.findall(r"\d+", name)[0]))
    ]


def _of_group(report: Mapping[str, Any], name: str, figure: str, cases: str) -> float | None:
    """The group's figure; None where nothing was predicted in it."""
    group = report.get(name, {})
    value: float | None = group.get(figure) if group.get(cases) else None
    return value


def learning_curves(run: TrainingRun) -> Iterator[Chart]:
    """One chart per figure that the fit reported, such as the loss, with a line for each network."""
    for name in _reported(run.history):
        series: dict[str, list[Point]] = {}
        told: dict[str, dict[float, str]] = {}
        for entry in run.history:
            if _number(entry.get(name)):
                figure, line = significant(entry[name], 4), _line(entry, name)
                words = colon(percent(entry["progress"]), figure)
                series.setdefault(line, []).append(Point(entry["progress"], entry[name], words))
                told.setdefault(line, {})[entry["progress"]] = figure
        chart = line_chart(
            _curve_title(name),
            series,
            ends=((0, _("start")), (1, _("end"))),
            label=significant,
            from_zero=False,
            table=table_of(_("Progress"), told, percent),
        )
        if chart and max(map(len, series.values())) > 1:
            yield chart


def _curve_title(name: str) -> str:
    """What a curve shows, and which way is better; a figure that nobody knows has its own name."""
    known = {
        "loss": _("Training loss: lower is better"),
        "hr@20": _("Next click found among 20, while training: higher is better"),
        "hr": _("Next click found, while training: higher is better"),
        "targets_per_s": _("Training speed, in clicks per second"),
    }
    return known.get(name) or str(LABELS.get(name, name.replace("_", " ").capitalize()))


def _line(entry: Mapping[str, Any], name: str) -> str:
    """The label of a curve: a training run of several networks fits them in turn, each from a high loss."""
    number = entry.get("network")
    return name if number is None else _("network %(number)d") % {"number": number}


def _reported(history: list[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for entry in history for name in entry if _number(entry[name]))
    return [name for name in names if name not in WHERE_IT_IS]


def _row(label: str, values: list[float | None], cases: int | None = None) -> Row:
    return Row(label, [_shown(value) for value in values], NONE if cases is None else whole(cases))


def _shown(value: float | None) -> str:
    return NONE if value is None else fixed(value, 2)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
