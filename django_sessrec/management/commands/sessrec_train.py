"""Command: train models in this process and promote those that pass the gate."""

from __future__ import annotations

import os
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.utils.module_loading import import_string

from django_sessrec.conf import sessrec_settings
from django_sessrec.management.command import SessrecCommand
from django_sessrec.management.progress import Progress
from django_sessrec.models import TrainingRun
from django_sessrec.training.good_neighbour import give_way
from django_sessrec.training.pipeline import AlreadyTraining, train


class Command(SessrecCommand):
    help = (
        "Train models on the clicks of the last TRAINING_WINDOW_DAYS; those that pass the gate serve at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "models", nargs="*", metavar="model", help="names in SESSREC['MODELS']; default: all"
        )
        parser.add_argument(
            "--refresh", action="store_true", help="start from the models in service, which is faster"
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """As a program of its own; called from other code, it leaves that process's priority alone."""
        give_way()
        super().run_from_argv(argv)

    def handle(self, *, models: list[str], refresh: bool, **options: Any) -> None:
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            self._train_all(models, refresh)
            return
        with import_string("django_sessrec.neural.torchrun.distributed_training")() as leads:
            if leads:
                self._train_all(models, refresh, until_one_fails=True)

    def _train_all(self, models: list[str], refresh: bool, *, until_one_fails: bool = False) -> None:
        """Train each; what keeps one from being trained stops no other, and is said at the end.

        until_one_fails: stop there, because torchrun's other processes still wait in a step of that run
        """
        problems = []
        for model in models or sessrec_settings.MODELS:
            try:
                run = self._train(model, refresh)
            except (AlreadyTraining, ImproperlyConfigured) as reason:
                problems.append(str(reason))
            else:
                if run.state == TrainingRun.State.FAILED:
                    problems.append(f"failed: {run}")
                    if until_one_fails:
                        break
        if problems:
            raise CommandError("\n".join(problems), returncode=1)

    def _train(self, model: str, refresh: bool) -> TrainingRun:
        progress = Progress(self.stderr, model)
        try:
            run = train(model, trigger="command", progress=progress, refresh=refresh)
        finally:
            progress.end()
        assert run and run.started_at and run.finished_at  # noqa: PT018, S101  # for mypy: it has ended
        seconds = (run.finished_at - run.started_at).total_seconds()
        style = self.style.SUCCESS if run.state == TrainingRun.State.PUBLISHED else self.style.WARNING
        outcome = style(str(run.get_state_display()))
        self.stdout.write(f"{run}: {outcome} after {seconds:.1f} s. {run.verdict}")
        return run
