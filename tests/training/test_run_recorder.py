"""The row of a training run while it runs."""

import pytest

from django_sessrec.models import TrainingRun
from django_sessrec.training import click_files, run_recorder
from django_sessrec.training.run_recorder import RunRecorder

pytestmark = pytest.mark.django_db


def test_figures_told_at_the_same_point_are_one_point_of_the_curve():
    run = TrainingRun.objects.create(model="net", state=TrainingRun.State.RUNNING, trigger="command")
    recorder = RunRecorder(run, None, lambda: None)
    recorder.stage("fit")
    recorder(0.5, {"loss": 4.0})
    recorder(0.5, {"loss": 4.0, "mrr": 0.2})
    recorder(0.501, {"loss": float("nan"), "mrr": 0.25})
    recorder(1.0, {"loss": 3.0})
    recorder(1.0, {"loss": 3.0, "mrr": 0.3})
    assert run.history == [
        {"progress": 0.5, "loss": 4.0, "mrr": 0.25},
        {"progress": 1.0, "loss": 3.0, "mrr": 0.3},
    ]


def test_what_each_network_of_a_run_notes_is_said_once():
    run = TrainingRun.objects.create(model="net", state=TrainingRun.State.RUNNING, trigger="command")
    recorder = RunRecorder(run, None, lambda: None)
    for note in ("No memory.", "No memory.", "Few clicks.", "No memory."):
        recorder(0.5, {"note": note})
    assert run.verdict == "No memory. Few clicks."


def test_a_long_run_removes_erased_sessions_from_the_click_files(sessrec, monkeypatch):
    sessrec["CLICK_FILES"] = True
    monkeypatch.setattr(run_recorder, "SECONDS_BETWEEN_TIDYING", 0.0)
    run = TrainingRun.objects.create(model="net", state=TrainingRun.State.RUNNING, trigger="command")
    click_files.folder().mkdir(parents=True)
    dropped = click_files.folder() / "20200101.npz"
    dropped.write_bytes(b"")
    RunRecorder(run, None, lambda: None)(0.5, {"loss": 4.0})
    assert not dropped.exists()
