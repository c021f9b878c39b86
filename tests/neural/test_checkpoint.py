"""A training that is stopped anywhere ends as one that was not."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.accuracy.published_recipes import GRU4RecPaper
from django_sessrec.neural import SRGNN, GRU4Rec, SASRec, checkpoint, training
from django_sessrec.neural.checkpoint import TRAINED, TRAINING, Checkpoint, RandomState
from django_sessrec.neural.encoder import SessionEncoder
from django_sessrec.neural.estimator import NeuralEstimator
from django_sessrec.neural.lazy_adam import LazyAdam
from django_sessrec.neural.training import LossInputs
from django_sessrec.recsys.blend import Blend
from django_sessrec.recsys.sessions import SessionLog

SMALL = GRU4Rec(embedding_size=16, epochs=2, threads=1)
ON_CPU = TRAINING.format(device="cpu")
NET = {"embedding_size": 16, "epochs": 2, "threads": 1}
BLEND = Blend(sources={"django_sessrec.neural.GRU4Rec": NET, "django_sessrec.recsys.ItemKNN": {}})


class Stop:
    """A progress callback that ends the training the `at`th time it is told something."""

    def __init__(self, at: int) -> None:
        self.at, self.shares = at, []

    def __call__(self, share: float, shown: Mapping[str, Any]) -> None:
        self.shares.append(share)
        if len(self.shares) == self.at:
            raise KeyboardInterrupt


def stopped(recipe: Any, folder: Path, log: SessionLog, at: int, **options: Any) -> float:
    """The share of the training that was done when it was stopped."""
    stop = Stop(at)
    with pytest.raises(KeyboardInterrupt):
        recipe.fit(log, checkpoints=folder, progress=stop, **options)
    return stop.shares[-1]


@pytest.mark.parametrize(
    "recipe",
    [
        SMALL,
        SASRec(embedding_size=16, epochs=2, threads=1),
        SRGNN(embedding_size=16, epochs=2, threads=1),
        GRU4RecPaper(embedding_size=16, epochs=2, threads=1),
        replace(SMALL, negatives=32),
    ],
    ids=["GRU4Rec", "SASRec", "SRGNN", "GRU4RecPaper", "adam by the row"],
)
def test_it_ends_with_the_same_weights_wherever_it_was_stopped(
    recipe: NeuralEstimator, logs: tuple[SessionLog, SessionLog], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0)
    monkeypatch.setattr(checkpoint, "SHARE_OF_TIME", float("inf"))
    monkeypatch.setattr(training, "REPORT_EVERY", 10)
    log, later = logs[0].slice(0, 1_200), logs[1]
    whole = recipe.fit(log, validation=later)
    reached = [stopped(recipe, tmp_path, log, at, validation=later) for at in (3, 8)]
    told = Stop(at=-1)
    resumed = recipe.fit(log, validation=later, checkpoints=tmp_path, progress=told)
    assert reached[0] < reached[1] < 1
    assert told.shares[0] == pytest.approx(reached[1], abs=0.05)
    np.testing.assert_array_equal(resumed.items, whole.items)
    sessions = [later[s] for s in range(20)]
    np.testing.assert_array_equal(resumed.scores(sessions), whole.scores(sessions))


def test_without_waiting_an_epoch_is_kept(logs: tuple[SessionLog, SessionLog], tmp_path: Path) -> None:
    assert stopped(SMALL, tmp_path, logs[0], at=4) > 1 / 2
    told = Stop(at=-1)
    SMALL.fit(logs[0], checkpoints=tmp_path, progress=told)
    assert told.shares[0] == pytest.approx(1 / 2)


def test_a_run_goes_on_with_as_many_threads_as_there_are_cores_free_now(
    logs: tuple[SessionLog, SessionLog], tmp_path: Path
) -> None:
    log = logs[0].slice(0, 1_200)
    stopped(replace(SMALL, threads=None), tmp_path, log, at=3)
    told = Stop(at=-1)
    SMALL.fit(log, checkpoints=tmp_path, progress=told)
    assert told.shares[0] == pytest.approx(1 / 2)


def test_what_was_trained_to_its_end_is_not_trained_again(
    logs: tuple[SessionLog, SessionLog], tmp_path: Path
) -> None:
    one = SMALL.fit(logs[0], checkpoints=tmp_path)
    told = Stop(at=-1)
    same = SMALL.fit(logs[0], checkpoints=tmp_path, progress=told)
    assert told.shares == []
    assert [path.name for path in tmp_path.iterdir()] == [TRAINED]
    np.testing.assert_array_equal(one.items, same.items)


@pytest.mark.parametrize("stage", [0, 2], ids=["for the weights", "for the blend"])
def test_a_blend_goes_on_with_the_net_that_was_stopped(
    stage: int, logs: tuple[SessionLog, SessionLog], tmp_path: Path, monkeypatch
) -> None:
    """Of its four fits two are nets, the first of all but the last days, the third of everything."""
    monkeypatch.setattr(training, "REPORT_EVERY", 10)
    whole = Stop(at=-1)
    blend = BLEND.fit(logs[0], progress=whole)
    epoch_done = next(n for n, share in enumerate(whole.shares, 1) if share > (stage + 0.6) / 4)
    assert (stage + 0.6) / 4 < stopped(BLEND, tmp_path, logs[0], at=epoch_done) < (stage + 1) / 4
    told = Stop(at=-1)
    resumed = BLEND.fit(logs[0], checkpoints=tmp_path, progress=told)
    assert told.shares[:stage] == [number / 4 for number in range(1, stage + 1)]
    assert told.shares[stage] == pytest.approx((stage + 0.5) / 4)
    assert resumed.weights == blend.weights
    sessions = [logs[1][s] for s in range(20)]
    np.testing.assert_array_equal(resumed.scores(sessions), blend.scores(sessions))


def test_a_state_of_other_data_or_another_recipe_is_left_aside(
    logs: tuple[SessionLog, SessionLog], tmp_path: Path, caplog
) -> None:
    caplog.set_level(logging.INFO, "django_sessrec")
    stopped(SMALL, tmp_path, logs[0], at=4)
    for recipe, log, differing in (
        (replace(SMALL, seed=1), logs[0], "other recipe,"),
        (SMALL, logs[0].slice(0, 2_000), "other data,"),
        (SMALL, replace(logs[0], weights=np.ones(logs[0].n_clicks, np.float32)), "other data,"),
    ):
        assert stopped(recipe, tmp_path, log, at=1) < 1 / 3
        assert differing in caplog.text


@pytest.mark.parametrize("share", [0.5, 0.0])
def test_a_damaged_state_is_left_aside(
    logs: tuple[SessionLog, SessionLog], tmp_path: Path, caplog, share: float
) -> None:
    log = logs[0].slice(0, 1_200)
    stopped(SMALL, tmp_path, log, at=3)
    whole = (tmp_path / ON_CPU).read_bytes()
    (tmp_path / ON_CPU).write_bytes(whole[: int(share * len(whole))])
    resumed = SMALL.fit(log, checkpoints=tmp_path)
    assert "can't be read, so training starts again" in caplog.text
    np.testing.assert_array_equal(resumed.items, SMALL.fit(log).items)


def test_a_folder_that_can_t_be_written_ends_no_training(
    logs: tuple[SessionLog, SessionLog], tmp_path: Path, caplog
) -> None:
    (tmp_path / "file").write_text("no folder")
    SMALL.fit(logs[0].slice(0, 200), checkpoints=tmp_path / "file/state")
    assert "no checkpoint could be written" in caplog.text


@dataclass(frozen=True, kw_only=True)
class OnATinyGPU(GRU4Rec):
    """Runs out of memory in the third step of the first try, of an optimizer as on a GPU."""

    tries: list[int] = field(default_factory=list)

    def optimizer(self, encoder: SessionEncoder) -> torch.optim.Optimizer:
        self.tries.append(0)
        if len(self.tries) == 1:
            return torch.optim.AdamW(encoder.parameters(), self.learning_rate)
        return LazyAdam(encoder, self.learning_rate, betas=(0.9, 0.98))

    def loss(self, inputs: LossInputs) -> torch.Tensor:
        self.tries[-1] += 1
        if self.tries == [3]:
            raise torch.OutOfMemoryError
        return super().loss(inputs)


def test_the_processor_does_not_go_on_with_what_a_gpu_left(
    logs: tuple[SessionLog, SessionLog], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0)
    recipe = OnATinyGPU(embedding_size=16, epochs=1, threads=1)
    recipe.fit(logs[0], checkpoints=tmp_path)
    steps_of_gpu, steps_of_processor = recipe.tries
    assert (steps_of_gpu, steps_of_processor > 3) == (3, True)


def drawn(folder: Path, **by: Any) -> list[float] | None:
    """What a run that resumes there draws next; None where it begins anew."""
    with torch.random.fork_rng():
        if not Checkpoint(folder, {}).resume({"random": RandomState()}, **by):
            return None
        return torch.rand(3).tolist()


def kept(folder: Path, **by: Any) -> list[float]:
    """What a run would draw next that is kept and stopped there."""
    stopped = Checkpoint(folder, {})
    stopped.resume({"random": RandomState()}, **by)
    stopped.keep({"random": RandomState()})
    return torch.rand(3).tolist()


def test_the_state_of_a_gpu_and_that_of_the_processor_are_kept_apart(tmp_path: Path) -> None:
    """A run that fell back to the processor tries the GPU first when it is resumed."""
    of_processor = kept(tmp_path, device="cpu", processes=1)
    of_gpu = kept(tmp_path, device="cuda", processes=1)
    assert drawn(tmp_path, device="cpu", processes=1) == of_processor
    assert drawn(tmp_path, device="cuda", processes=1) == of_gpu
    Checkpoint(tmp_path, {}).finish(torch.nn.Linear(1, 1))
    assert [path.name for path in tmp_path.iterdir()] == [TRAINED]


def test_a_state_of_another_number_of_processes_is_left_aside(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO, "django_sessrec")
    kept(tmp_path, device="cpu", processes=1)
    assert drawn(tmp_path, device="cpu", processes=4) is None
    assert "other processes," in caplog.text


@dataclass(frozen=True, kw_only=True)
class OfTwoOptimizers(GRU4Rec):
    """Chooses its optimizer by what is no option of it, as a class of a shop's own may."""

    lazy: list[bool] = field(default_factory=list, repr=False, compare=False)

    def optimizer(self, encoder: SessionEncoder) -> torch.optim.Optimizer:
        if self.lazy:
            return LazyAdam(encoder, self.learning_rate, betas=(0.9, 0.98))
        return torch.optim.AdamW(encoder.parameters(), self.learning_rate, betas=(0.9, 0.98))


@pytest.mark.parametrize("lazy", [[], [True]], ids=["by the row", "of all rows"])
def test_a_state_of_another_optimizer_is_left_aside_and_nothing_of_it_stays(
    lazy: list[bool], logs: tuple[SessionLog, SessionLog], tmp_path: Path, caplog
) -> None:
    log = logs[0].slice(0, 1_200)
    one = OfTwoOptimizers(embedding_size=16, epochs=2, threads=1, lazy=lazy)
    other = replace(one, lazy=[] if lazy else [True])
    stopped(one, tmp_path, log, at=3)
    resumed = other.fit(log, checkpoints=tmp_path)
    assert "does not fit, so training starts again" in caplog.text
    np.testing.assert_array_equal(resumed.items, other.fit(log).items)
