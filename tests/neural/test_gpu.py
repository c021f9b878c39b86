"""What a training promises, where it runs on a GPU. On a machine with nothing but torch and pytest:

python -m pytest -c /dev/null --noconftest tests/neural/test_gpu.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.accuracy.published_recipes import GRU4RecPaper, SASRecPaper, SRGNNPaper
from django_sessrec.neural import (
    SRGNN,
    GRU4Rec,
    Ranked,
    SASRec,
    training,
)
from django_sessrec.neural.cuda_graphs import CapturedStep, GraphedSteps, Step
from django_sessrec.neural.estimator import NeuralEstimator
from django_sessrec.neural.training import Trainer
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs an NVIDIA GPU and a build of torch with CUDA"
)

SMALL = GRU4Rec(embedding_size=32, device="cuda")
RECIPES = {
    "gru4rec": SMALL,
    "sasrec": SASRec(embedding_size=32, device="cuda"),
    "srgnn": SRGNN(embedding_size=32, device="cuda"),
    "few negatives": replace(SMALL, negatives=32),
}
AS_PUBLISHED = {
    "cross-entropy": GRU4RecPaper(epochs=2, device="cuda"),
    "bpr-max": GRU4RecPaper(epochs=2, objective="bpr_max", device="cuda"),
    "binary": SASRecPaper(epochs=2, device="cuda"),
    "full softmax": SRGNNPaper(epochs=2, device="cuda"),
}


@pytest.fixture(scope="module")
def logs() -> tuple[SessionLog, SessionLog]:
    """Sessions to fit on, and the last tenth of them in time."""
    return synthetic_shop().log.split_last(0.1)


def hit_rate(recommender: Recommender, later: SessionLog) -> float:
    return evaluate(recommender, Cases.from_log(later)).hr


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_net_learns_there_what_it_learns_on_the_processor(
    recipe: NeuralEstimator, logs: tuple[SessionLog, SessionLog]
) -> None:
    """That the exported net answers as the trained one does, the fit itself makes sure of."""
    log, later = logs
    on_processor = replace(recipe, device="cpu").fit(log, validation=later)
    assert hit_rate(recipe.fit(log, validation=later), later) > 0.97 * hit_rate(on_processor, later)


@pytest.mark.parametrize("recipe", AS_PUBLISHED.values(), ids=AS_PUBLISHED)
def test_a_net_as_published_trains_there(
    recipe: NeuralEstimator, logs: tuple[SessionLog, SessionLog]
) -> None:
    log, later = logs
    assert hit_rate(recipe.fit(log), later) > hit_rate(Popularity().fit(log), later)


def test_the_champion_trains_there(logs: tuple[SessionLog, SessionLog]) -> None:
    log, later = logs
    ranked = Ranked(network={"embedding_size": 32, "device": "cuda"}, threads=1).fit(log)
    assert hit_rate(ranked, later) > 7 * hit_rate(Popularity().fit(log), later)


@pytest.mark.parametrize("recipe", {**RECIPES, **AS_PUBLISHED}.values(), ids={**RECIPES, **AS_PUBLISHED})
def test_no_step_waits_for_the_gpu(recipe: NeuralEstimator, logs: tuple[SessionLog, SessionLog]) -> None:
    encoder = recipe.encoder(recipe.initial_vectors(logs[0])).to("cuda").train()
    trainer = Trainer(encoder, recipe, logs[0])
    for chosen in [*trainer.sampler.batches(), *trainer.sampler.batches()]:
        trainer.step(chosen)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for chosen in trainer.sampler.batches():
            trainer.step(chosen)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "recipe", [SMALL, RECIPES["sasrec"], RECIPES["srgnn"]], ids=["gru4rec", "sasrec", "srgnn"]
)
def test_a_graphed_step_does_what_the_step_does(
    recipe: NeuralEstimator, logs: tuple[SessionLog, SessionLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without chance in it: nothing is dropped out, and every item is a negative."""
    recipe = replace(recipe, dropout=0.0, item_dropout=0.0, negatives=10_000)

    def losses(graphed: bool) -> list[float]:
        torch.manual_seed(0)
        monkeypatch.setattr(Trainer, "can_use_cuda_graphs", graphed)
        encoder = recipe.encoder(recipe.initial_vectors(logs[0])).to("cuda").train()
        trainer = Trainer(encoder, recipe, logs[0])
        return [float(trainer.step(chosen)) for _ in range(3) for chosen in trainer.sampler.batches()]

    replayed, stepped = losses(graphed=True), losses(graphed=False)
    assert stepped[-1] < 0.9 * stepped[0]
    np.testing.assert_allclose(replayed, stepped, rtol=0.02)


def test_a_training_that_was_stopped_goes_on_there(
    logs: tuple[SessionLog, SessionLog], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the same end but for rounding: a GPU adds up in no fixed order."""
    monkeypatch.setattr(training, "REPORT_EVERY", 10)
    log, later = logs
    told: list[float] = []

    def stop(share: float, shown: Mapping[str, Any]) -> None:
        told.append(share)
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SMALL.fit(log, validation=later, checkpoints=tmp_path, progress=stop)
    resumed = SMALL.fit(
        log, validation=later, checkpoints=tmp_path, progress=lambda share, _: told.append(share)
    )
    shares = told[next(n for n, share in enumerate(told) if share > 0.5) + 1 :]
    assert min(shares) > 0.3
    whole = SMALL.fit(log, validation=later)
    assert float((resumed.items * whole.items).sum(1)[1:].min()) > 0.99
    sessions = [later[session] for session in range(20)]
    np.testing.assert_allclose(resumed.scores(sessions)[:, 1:], whole.scores(sessions)[:, 1:], atol=1.0)


def test_a_gpu_without_room_leaves_the_training_to_the_processor(
    logs: tuple[SessionLog, SessionLog], little_memory: None
) -> None:
    notes: list[str] = []
    recipe = replace(SMALL, epochs=1)
    net = recipe.fit(logs[0], progress=lambda _, shown: notes.append(shown.get("note", "")))
    assert "The GPU ran out of memory; the training started again on the processor." in notes
    assert hit_rate(net, logs[1]) > hit_rate(Popularity().fit(logs[0]), logs[1])


@pytest.fixture
def little_memory() -> Iterator[None]:
    leave_no_memory()
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def leave_no_memory() -> None:
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-5)


def test_a_gpu_without_room_to_capture_leaves_the_training_to_the_processor(
    logs: tuple[SessionLog, SessionLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    def capture(steps: GraphedSteps, length: int, step: Step) -> CapturedStep:
        leave_no_memory()
        return as_it_is(steps, length, step)

    as_it_is = GraphedSteps._capture
    monkeypatch.setattr(GraphedSteps, "_capture", capture)
    notes: list[str] = []
    try:
        SMALL.fit(logs[0], progress=lambda _, shown: notes.append(shown.get("note", "")))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "The GPU ran out of memory; the training started again on the processor." in notes
    assert torch.rand(3, device="cuda").isfinite().all(), "its random numbers are drawn as before"
