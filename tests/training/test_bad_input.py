"""Whatever clicks and machines are like, a run gets a clear verdict and the shop keeps its model."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import torch

from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.ids import uuid7
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.neural import GRU4Rec
from django_sessrec.training.dataset import read
from django_sessrec.training.pipeline import train
from tests.support.disks import fill, small_disk
from tests.support.visits import click_row, store_visits, synthetic_visits

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sessrec")]
State = TrainingRun.State
NOW = datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class OnATinyGPU(GRU4Rec):
    """Runs out of memory once, where a GPU would."""

    embedding_size: int = 16
    epochs: int = 1
    threads: int | None = 1

    def trained(self, *arguments):
        self.__dict__["steps"] = 0
        return super().trained(*arguments)

    def loss(self, of):
        self.__dict__["steps"] += 1
        if self.__dict__["steps"] == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return super().loss(of)


@pytest.fixture
def disk(tmp_path):
    """disk(kilobytes) is a folder on a file system of that size."""
    with ExitStack() as mounted:
        yield lambda kilobytes: mounted.enter_context(small_disk(tmp_path / "disk", kilobytes))


def test_a_disk_that_is_full_at_publishing_fails_the_run_and_the_old_model_stays(visits, sessrec, disk):
    sessrec["ARTIFACTS"] = disk(700) / "artifacts"
    good = train("neighbours", trigger="command")
    assert good.state == State.PUBLISHED, good.error
    filler = fill(sessrec["ARTIFACTS"].parent, but=30_000)
    before = sorted(sessrec["ARTIFACTS"].iterdir())
    full = train("neighbours", trigger="command")
    assert (full.state, full.stage) == (State.FAILED, "publish")
    assert "the disk is full" in full.verdict
    assert sorted(sessrec["ARTIFACTS"].iterdir()) == before
    assert Promotion.objects.active("neighbours") == good
    filler.unlink()
    assert train("neighbours", trigger="command").state == State.PUBLISHED


def test_a_disk_too_small_for_checkpoints_ends_no_training(visits, sessrec, disk, caplog):
    sessrec["MODELS"] = {"net": {"ESTIMATOR": f"{__name__}.OnATinyGPU", "REFIT": False}}
    sessrec["ARTIFACTS"] = disk(20) / "artifacts"
    run = train("net", trigger="command")
    assert "the clicks could not be kept" in caplog.text
    assert "no checkpoint could be written" in caplog.text
    assert (run.state, run.stage) == (State.FAILED, "publish")


def test_a_gpu_that_runs_out_of_memory_is_replaced_by_the_processor_and_the_run_says_so(visits, sessrec):
    sessrec["MODELS"] = {"net": {"ESTIMATOR": f"{__name__}.OnATinyGPU", "REFIT": False}}
    run = train("net", trigger="command")
    assert run.state == State.PUBLISHED, run.error
    assert "The GPU ran out of memory; the training started again on the processor." in run.verdict


@pytest.mark.parametrize("estimator", ["recsys.neighbours.Neighbours", "neural.GRU4Rec"])
def test_ids_of_any_script_are_trained_on_and_recommended(sessrec, transactional_db, estimator):
    scripts = ["чай", "茶", "شاي", "चाय", "ชา", "🍵", "Ⅻ", "e\u0301", "\u00e9", "a b/c?d=1&e", "' OR 1=1 --"]
    names = {f"item-{n}": f"{script}-{n}" for n, script in zip(range(1, 81), scripts * 8, strict=False)}
    store_visits((sid, at, [names[each] for each in items]) for sid, at, items in synthetic_visits())
    options = {} if "neighbours" in estimator else {"embedding_size": 16, "epochs": 1, "threads": 1}
    sessrec["MODELS"] = {"any": {"ESTIMATOR": f"django_sessrec.{estimator}", "OPTIONS": options}}
    run = train("any", trigger="command")
    assert run.state == State.PUBLISHED, run.verdict
    model = run.open()
    assert set(model.index.ids[1:]) == set(names.values())
    assert {each.item_id for each in model.recommend([names["item-1"]], 8)} <= set(names.values())


def test_fifty_thousand_clicks_of_one_session_change_nothing(visits):
    without = train("neighbours", trigger="command")
    session, at = uuid7(), NOW - timedelta(hours=20)
    copy_events(click_row(session, f"item-{n % 80 + 1}", at + timedelta(seconds=n)) for n in range(50_000))
    run = train("neighbours", trigger="command")
    assert run.state == State.PUBLISHED, run.verdict
    left_out = run.counts["quarantined_clicks"] + run.counts["bot_clicks"]
    assert left_out == 50_000 or run.counts["endless_sessions"] == 1
    assert run.counts["sessions"] == without.counts["sessions"]
    assert run.figures["candidate"]["hr@20"] == without.figures["candidate"]["hr@20"]


def test_events_that_arrive_out_of_order_are_put_in_order(transactional_db):
    session, at = uuid7(), NOW - timedelta(hours=2)
    clicks = [click_row(session, f"item-{n}", at + timedelta(seconds=40 * n)) for n in range(9)]
    copy_events(clicks[::2])
    copy_events(reversed(clicks[1::2]))
    log, _ = read(NOW - timedelta(days=1), NOW)
    assert log.index.item_ids(log[0]) == [f"item-{n}" for n in range(9)]


def test_last_days_in_which_nobody_went_on_after_a_click_are_no_test(visits):
    good = train("neighbours", trigger="command")
    now = datetime.now(UTC)  # all of one day: how many clicks on an item count has a bound for each day
    store_visits((uuid7(), now - timedelta(milliseconds=n), ["item-1"]) for n in range(1, 200))
    run = train("neighbours", trigger="command")
    assert run.state == State.REFUSED
    assert "clicks to predict" in run.verdict or "no cases" in run.verdict
    assert Promotion.objects.active("neighbours") == good
