"""What a fit promises: seeded, guarded, told about, and refused where there is nothing to learn."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from django_sessrec.neural import SRGNN, GRU4Rec, SASRec
from django_sessrec.neural.batches import Windows
from django_sessrec.neural.errors import TrainingDiverged
from django_sessrec.neural.estimator import NeuralEstimator
from django_sessrec.neural.training import REPORT_EVERY, EarlyStopping, ProgressReporter, Trainer
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.recommender import NotEnoughData
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop

SMALL = GRU4Rec(embedding_size=16, epochs=1, threads=1)
CPU = torch.device("cpu")


def log_of(*sessions: list[int], n_items: int = 9) -> SessionLog:
    ids = np.repeat(np.arange(len(sessions)), [len(session) for session in sessions])
    rows = np.concatenate(sessions).astype(np.int32)
    return SessionLog.from_rows(ids, rows, np.arange(len(rows)), ItemIndex([str(i) for i in range(n_items)]))


def test_the_same_seed_makes_the_same_net(logs: tuple[SessionLog, SessionLog]) -> None:
    one, same = SMALL.fit(logs[0]), SMALL.fit(logs[0])
    other = replace(SMALL, seed=1).fit(logs[0])
    np.testing.assert_array_equal(one.items, same.items)
    assert not np.allclose(one.items, other.items)


def test_leaves_torch_as_it_was(logs: tuple[SessionLog, SessionLog]) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    SMALL.fit(logs[0])
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_keeps_no_reference_to_its_data() -> None:
    log = synthetic_shop(sessions=200).log
    clicks = weakref.ref(log.items)
    net = SMALL.fit(log)
    del log
    gc.collect()
    assert clicks() is None
    assert len(net.index) == 301


def test_a_loss_that_is_no_number_ends_the_training(logs: tuple[SessionLog, SessionLog]) -> None:
    with pytest.raises(TrainingDiverged, match="lower learning_rate"):
        replace(SMALL, learning_rate=1e38).fit(logs[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("dropout", 1.0),
        ("learning_rate", -0.1),
        ("window", 0),
        ("scale", -1.0),
        ("scale", None),
    ],
)
def test_a_hyper_parameter_out_of_range_is_named(
    name: str, value: float | None, logs: tuple[SessionLog, SessionLog]
) -> None:
    with pytest.raises(ValueError, match=rf"^{name} .*{value}"):
        replace(SMALL, **{name: value}).fit(logs[0])


def test_heads_share_the_embedding_evenly() -> None:
    with pytest.raises(ValueError, match="50 is not a multiple of 4"):
        SASRec(embedding_size=50, heads=4)


def test_progress_tells_epoch_loss_and_speed(logs: tuple[SessionLog, SessionLog]) -> None:
    told: list[tuple[float, dict[str, float]]] = []
    replace(SMALL, epochs=2).fit(logs[0], progress=lambda share, shown: told.append((share, dict(shown))))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert told[-1][1]["epoch"] == 2
    assert told[-1][1]["loss"] < told[0][1]["loss"]
    assert told[-1][1]["targets_per_s"] > 0


def test_validation_stops_a_training_that_gets_worse(logs: tuple[SessionLog, SessionLog]) -> None:
    mrr: dict[int, float] = {}

    def note(_: float, shown: Mapping[str, float]) -> None:
        mrr[int(shown["epoch"])] = shown.get("mrr", 0)

    replace(SMALL, epochs=40, learning_rate=0.03).fit(
        logs[0].slice(0, 200), validation=logs[1], progress=note
    )
    *rising, last = mrr.values()
    assert len(mrr) < 40
    assert rising == sorted(rising)
    assert last <= rising[-1]


def test_a_training_of_a_single_step_learns() -> None:
    log = log_of(*[[1, 2, 3]] * 3)
    learnt, untrained = (
        replace(SMALL, learning_rate=rate, smoothing=0).fit(log).items for rate in (0.1, 1e-9)
    )
    assert np.abs(learnt - untrained).max() > 0.01


def test_a_network_that_is_no_number_ranks_last() -> None:
    log = log_of([1, 2, 3])
    network = SMALL.encoder(SMALL.initial_vectors(log))
    with torch.no_grad():
        network.items.weight.fill_(torch.nan)
    assert EarlyStopping(log, SMALL.window, CPU).mrr(network) == pytest.approx(1 / (len(log.index) - 1))


def test_an_empty_validation_is_none(logs: tuple[SessionLog, SessionLog]) -> None:
    epochs: list[int] = []
    replace(SMALL, epochs=3).fit(
        logs[0].slice(0, 100),
        validation=logs[1].slice(0, 0),
        progress=lambda _, shown: epochs.append(shown["epoch"]),
    )
    assert max(epochs) == 3


@pytest.mark.parametrize(
    "log",
    [
        log_of([1], [2], [3]),
        log_of([1, 1, 1], [1, 1]),
        log_of([1, 2, 3, 4]),
        log_of([1, 2]).slice(0, 0),
    ],
    ids=["no pairs", "one item", "one session", "nothing"],
)
def test_too_little_data_is_refused(log: SessionLog) -> None:
    with pytest.raises(NotEnoughData, match="collect more visits"):
        SMALL.fit(log)


def test_two_sessions_of_two_items_are_enough() -> None:
    net = SMALL.fit(log_of([1, 2], [2, 1], n_items=2))
    assert {each.item_id for each in net.recommend(["0"], 5)} == {"0", "1"}


def test_items_that_training_never_saw_are_never_recommended() -> None:
    net = SMALL.fit(log_of([1, 2, 3], [2, 1, 3], n_items=9))
    assert {each.item_id for each in net.recommend(["0"], 9)} == {"0", "1", "2"}


def test_every_click_but_the_first_is_a_target_once() -> None:
    sessions = [list(range(1, length + 1)) for length in (1, 2, 20, 21, 22, 30, 31, 57)]
    log = log_of(*sessions, n_items=60)
    windows = Windows.of(log, 20, recency_days=None, device=CPU)
    found = []
    for batch in map(windows.batch, windows.shuffled(3, np.random.default_rng(0))):
        assert batch.items.shape[1] <= 20
        found.append(torch.stack((batch.items.flatten()[batch.positions], batch.targets), 1))
    pairs = sorted(map(tuple, torch.cat(found).tolist()))
    assert pairs == sorted((row, row + 1) for session in sessions for row in session[:-1])
    assert windows.n_targets == len(pairs)


@pytest.mark.parametrize("net", [GRU4Rec, SASRec, SRGNN])
def test_a_padded_batch_teaches_what_its_windows_do(
    net: type[NeuralEstimator], logs: tuple[SessionLog, SessionLog]
) -> None:
    """As a GPU records it: every position, also beyond a window's end, and windows that are not there."""
    recipe = net(embedding_size=16, dropout=0, item_dropout=0, negatives=10_000, window=4)
    log = logs[0].slice(0, 100)
    encoder = recipe.encoder(recipe.initial_vectors(log)).train()
    trainer = Trainer(encoder, recipe, log)
    windows = trainer.sampler.windows
    chosen = np.arange(0, len(windows), 7)
    assert windows.fresh[chosen].max() > 0, "a window whose first clicks were trained before"
    padded = windows.padded(torch.from_numpy(np.append(chosen, [len(windows)] * 3)), 4)
    losses = [trainer.loss(batch) for batch in (windows.batch(chosen), padded)]
    torch.testing.assert_close(*losses)
    gradients = [torch.autograd.grad(loss, list(encoder.parameters())) for loss in losses]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-4)


def test_old_sessions_weigh_less_and_the_mean_weight_is_one() -> None:
    log = log_of([1, 2], [3, 4], [5, 6])
    log = SessionLog(log.index, log.items, log.offsets, np.repeat([0, 80 * 86_400, 160 * 86_400], 2))
    weights = Windows.of(log, 20, recency_days=80.0, device=CPU).weights
    np.testing.assert_allclose(weights / weights[2], np.exp([-2, -1, 0]), rtol=1e-5)
    assert weights.mean() == pytest.approx(1)


def test_a_target_weighs_what_its_click_does_and_the_mean_weight_is_one() -> None:
    log = replace(log_of([1, 2, 3], [4, 5]), weights=np.float32([9, 1, 2, 9, 3]))
    windows = Windows.of(log, 20, recency_days=None, device=CPU)
    batch = windows.batch(np.arange(2))
    assert dict(zip(batch.targets.tolist(), batch.weights.tolist(), strict=True)) == {2: 0.5, 3: 1.0, 5: 1.5}
    padded = windows.padded(torch.arange(2), 2)
    torch.testing.assert_close(padded.weights, torch.tensor([0.5, 1.0, 1.5, 0.0]) * 4 / 3)


def test_a_network_recommends_more_of_what_teaches_more(logs: tuple[SessionLog, SessionLog]) -> None:
    log = logs[0].slice(0, 1_500)
    raised = np.arange(len(log.index)) % 4 == 0
    weighed = replace(log, weights=np.where(raised[log.items], 6, 1).astype(np.float32))
    alike, taught = (GRU4Rec(embedding_size=16, epochs=2, threads=1).fit(each) for each in (log, weighed))
    sessions = [logs[1][number] for number in range(100)]
    shares = [raised[[net.top(each, 8)[0] for each in sessions]].mean() for net in (alike, taught)]
    assert shares[1] > shares[0] + 0.1


def test_an_epochs_few_left_over_steps_do_not_bend_the_curve() -> None:
    told: list[float] = []
    reporter = ProgressReporter(lambda _share, shown: told.append(shown["loss"]), REPORT_EVERY + 1, CPU)
    for _step in range(REPORT_EVERY):
        reporter.count(1, torch.tensor(1.0), targets=8)
    reporter.count(1, torch.tensor(9.0), targets=1)
    reporter.look(1)
    assert told == [1.0, 1.0]
    reporter.count(2, torch.tensor(math.nan), targets=1)
    with pytest.raises(TrainingDiverged):
        reporter.look(2)
