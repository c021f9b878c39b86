"""Between trainings from scratch, trainings that start from the model in service."""

from datetime import UTC, datetime, timedelta

import pytest

from django_sessrec.ids import uuid7
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.training.pipeline import train
from django_sessrec.training.schedule import Due, due
from tests.support.visits import store_visits

pytestmark = pytest.mark.django_db(transaction=True)
State = TrainingRun.State
NET = {"embedding_size": 16, "epochs": 3, "threads": 1}


@pytest.fixture
def net(sessrec, visits):
    """SESSREC with a net that is trained every day and refreshed every hour."""
    sessrec["GATE_TOLERANCE"] = 0.5  # what is refused is tested elsewhere
    sessrec["MODELS"] = {
        "net": {"ESTIMATOR": "django_sessrec.neural.GRU4Rec", "OPTIONS": NET, "REFRESH_HOURS": 1}
    }
    return sessrec


def clicks_of_now():
    now = datetime.now(UTC)
    at = [now - timedelta(minutes=minute) for minute in range(10, 40)]
    store_visits([(uuid7(each), each, ["item-1", "just-in", "item-2"]) for each in at])


def test_a_refresh_starts_from_the_model_in_service_and_knows_what_is_new(net):
    first = train("net", trigger="command")
    clicks_of_now()
    epochs = []
    run = train(
        "net",
        trigger="command",
        refresh=True,
        progress=lambda stage, share, shown: epochs.append(shown.get("epoch", 0)),
    )
    assert run.state == State.PUBLISHED, run.error
    assert run.started_from == first
    assert f"Refreshed from net #{first.pk}." in run.verdict
    assert max(epochs) == 1
    assert Promotion.objects.active("net") == run
    assert "just-in" in run.open().index


def test_the_schedule_asks_for_refreshes_between_trainings(net):
    assert due("net") is Due.TRAINING
    first = train("net", trigger="schedule", only_if_due=True)
    assert due("net") is None
    TrainingRun.objects.update(created_at=datetime.now(UTC) - timedelta(hours=2))
    assert due("net") is Due.REFRESH
    second = train("net", trigger="schedule", only_if_due=True)
    assert second.started_from == first
    assert due("net") is None
    TrainingRun.objects.filter(pk=first.pk).update(created_at=datetime.now(UTC) - timedelta(hours=25))
    assert due("net") is Due.TRAINING


def test_a_refresh_that_failed_is_followed_by_a_training_from_scratch(net):
    """The network of the run in service may be one that another version built."""
    first = TrainingRun.objects.create(model="net", state=State.PUBLISHED)
    failed = TrainingRun.objects.create(model="net", state=State.FAILED, started_from=first)
    assert due("net") is None
    TrainingRun.objects.update(created_at=datetime.now(UTC) - timedelta(hours=2))
    assert due("net") is Due.TRAINING
    TrainingRun.objects.filter(pk=failed.pk).update(state=State.REFUSED)
    assert due("net") is Due.REFRESH, "the gate's no says nothing of the start"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"OPTIONS": {**NET, "epochs": 2}}, "has other hyper-parameters"),
        ({"ESTIMATOR": "django_sessrec.recsys.Neighbours", "OPTIONS": {}}, "does not support a warm start"),
    ],
)
def test_what_can_t_be_refreshed_is_trained_from_scratch_and_says_so(net, change, reason):
    train("net", trigger="command")
    net["MODELS"]["net"] |= change
    run = train("net", trigger="command", refresh=True)
    assert run.state == State.PUBLISHED, run.verdict
    assert run.started_from is None
    assert reason in run.verdict


def test_the_test_s_days_are_not_in_what_the_tested_model_starts_from(net):
    first = train("net", trigger="command")
    first.counts["tested_from"] += 1
    first.save()
    run = train("net", trigger="command", refresh=True)
    assert run.started_from is None
    assert "was trained on some of the test days" in run.verdict
