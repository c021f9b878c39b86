"""Command: evaluate models on the clicks of the last days."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from numpy.typing import NDArray

from django_sessrec.artifact_storage import StorageError
from django_sessrec.conf import sessrec_settings
from django_sessrec.management.command import SessrecCommand
from django_sessrec.management.progress import Progress
from django_sessrec.models import HOLD_OUT, Promotion, TrainingRun
from django_sessrec.privacy.training_window import window
from django_sessrec.recsys import artifact
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.training import artifact_store, split
from django_sessrec.training.dataset import read_for

SEEN = (
    "%(name)s may have been fitted on the days that it is tested on here, which flatters it: "
    "name its run's number, or the folder %(name)s-hold-out"
)
SEEN_BY_HOLD_OUT = (
    "%(name)s was fitted on some of the days that it is tested on here, which flatters it: its training run "
    "held out fewer of them. Train it again with the VALIDATION_FRACTION of SESSREC, %(fraction)g"
)


class Command(SessrecCommand):
    help = (
        "Test models on the last days, as the gate does: each in the version that was fitted without its own "
        "last days. A folder is tested as it is. A model of baskets is tested on baskets."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "targets",
            nargs="*",
            metavar="target",
            help="a model, a run's number, or an artifact's folder; default: every model that serves",
        )
        parser.add_argument("--json", action="store_true", help="print the figures as JSON")

    def handle(self, *, targets: list[str], **options: Any) -> None:
        found = [_target(target) for target in targets or _serving()]
        if not found:
            raise CommandError("no model serves yet: run sessrec_train first")
        days = _shortest_window([run.model for *_, run in found if run])
        figures, tests = {}, dict[str, _Test]()
        for name, folder, load, _run in found:
            progress = Progress(self.stderr, name)
            try:
                recommender = load()
                of = recommender.learns_from
                test = tests[of] = tests.get(of) or _Test.by(type(recommender), days)
                if seen := _seen(folder, test.last_days):
                    words = {"name": name, "fraction": sessrec_settings.VALIDATION_FRACTION}
                    self.stderr.write(self.style.WARNING(seen % words))
                report = evaluate(
                    recommender,
                    test.cases,
                    progress=lambda *done, show=progress: show("evaluate", *done),
                    intents=test.intents,
                )
            except (artifact.ArtifactError, ValueError) as problem:
                raise CommandError(f"{name}: {problem}") from problem
            finally:
                progress.end()
            figures[name] = {"predicts": of, **report.as_dict()}
        self.stdout.write(json.dumps(figures, indent=2) if options["json"] else _table(figures))


class _Test(NamedTuple):
    """Newest sessions, or baskets, and what is to be predicted in them."""

    last_days: SessionLog
    cases: Cases
    intents: NDArray[np.int64]

    @classmethod
    def by(cls, model: type[Recommender], days: timedelta) -> _Test:
        """What recommenders of this class are judged by: the newest of the last days."""
        now = timezone.now()
        sessions = read_for(model, now - days, now)
        earlier, last_days = split.by_time(sessions, sessrec_settings.VALIDATION_FRACTION)
        cases = split.cases(last_days)
        return cls(last_days, cases, split.intents(earlier, cases))


def _serving() -> list[str]:
    promotions = Promotion.objects
    return [model for model in sessrec_settings.MODELS if promotions.active(model)]


def _shortest_window(models: list[str]) -> timedelta:
    """How far back to read: one test for all targets, of days that the runs of each have read."""
    known = [model for model in models or sessrec_settings.MODELS if model in sessrec_settings.MODELS]
    return min(map(window, known), default=timedelta(days=sessrec_settings.TRAINING_WINDOW_DAYS))


def _target(target: str) -> tuple[str, Path, Callable[[], Recommender], TrainingRun | None]:
    """The name of a target, its folder, what opens it, and its run, if it is one."""
    if Path(target).is_dir():
        return Path(target).name, Path(target), partial(artifact.load, Path(target)), None
    numbered = target.isdecimal()
    run = TrainingRun.objects.filter(pk=target).first() if numbered else Promotion.objects.active(target)
    if run is None or not run.artifact:
        raise CommandError(f"{target!r} is not an active model, a run with an artifact, or a folder")
    try:
        artifact_store.bring(run, hold_out=True)
    except (artifact.ArtifactError, StorageError, OSError) as problem:
        raise CommandError(f"{run}: {problem}") from problem
    return str(run), run.hold_out_folder, partial(run.open, hold_out=True), run


def _seen(folder: Path, last_days: SessionLog) -> str:
    """What to say of an artifact that was fitted on clicks of the last days, as its card tells."""
    card = artifact.read_manifest(folder).get("card", {})
    is_hold_out = folder.name.endswith(HOLD_OUT)
    if is_hold_out:
        ends = card.get("counts", {}).get("tested_from")
    else:
        window_end = card.get("window", [None, None])[1]
        ends = window_end and datetime.fromisoformat(window_end).timestamp()
    if ends is None or not len(last_days) or ends <= last_days.started[0]:
        return ""
    return SEEN_BY_HOLD_OUT if is_hold_out else SEEN


def _table(figures: dict[str, Any]) -> str:
    """Figures by prefix length and by intents, of all clicks and of those on new items, a block a model."""
    lines = []
    for name, whole in figures.items():
        baskets = whole["predicts"] == "baskets"
        what, before = ("lines of baskets", "lines before") if baskets else ("clicks", "clicks before")
        lines += ["", f"{name}: {whole['cases']:,} {what}, ranked among all items"]
        groups = {before: whole["by_length"], "intents": whole["by_intents"], "": {"all": whole}}
        for heading, parts in groups.items():
            lines.append(
                f"{heading:>14} {'cases':>8} {'HR@20':>7} {'MRR@20':>7} {'NDCG@20':>8}"
                f" {'new':>8} {'HR@20':>7} {'MRR@20':>7}"
            )
            lines += [
                f"{group:>14} {part['cases']:>8,} {part['hr@20']:>7.2f} {part['mrr@20']:>7.2f} "
                f"{part['ndcg@20']:>8.2f} {part['cases_new']:>8,} {part['hr@20_new']:>7.2f} "
                f"{part['mrr@20_new']:>7.2f}"
                for group, part in parts.items()
            ]
        lines.append("new: of items new to the session, in lists without the session's items")
        lines.append(f"coverage {whole['coverage@20']:.1f} % of the items, in {whole['seconds']:.1f} s")
    return "\n".join(lines[1:])
