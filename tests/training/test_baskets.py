"""A model that learns from baskets: read, tested on baskets, published."""

import json
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.core.management import call_command

from django_sessrec.capture import partitions
from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.ids import uuid7
from django_sessrec.models import TrainingRun
from django_sessrec.training.comparison import NotComparable, compare
from django_sessrec.training.pipeline import train
from tests.support.visits import click_row, store_visits, synthetic_visits

pytestmark = [pytest.mark.django_db(transaction=True)]
NOW = datetime.now(UTC)


@pytest.fixture
def basket_model(sessrec):
    sessrec["MODELS"] = {"bought_together": {"ESTIMATOR": "django_sessrec.recsys.BoughtTogether"}}


def store_baskets(baskets: int, kinds: int = 20) -> None:
    """Whoever buys kettle n buys cup n; everybody looks at two kettles first."""
    draw = np.random.default_rng(0)
    rows = []
    for n in range(baskets):
        session_id = uuid7(at := NOW - timedelta(days=8) + n * timedelta(days=7) / baskets)
        kind = int(draw.integers(kinds))
        lines = [(f"kettle-{kind}", "view_item"), (f"kettle-{(kind + 1) % kinds}", "view_item")]
        lines += [
            (f"{what}-{kind}", name) for what in ("kettle", "cup") for name in ("add_to_cart", "purchase")
        ]
        rows += [click_row(session_id, item, at + 9 * i * timedelta(seconds=1), name=name)
                 for i, (item, name) in enumerate(lines)]  # fmt: skip
    copy_events(rows)


def test_baskets_become_a_model_of_what_is_bought_together(basket_model):
    store_baskets(400)
    run = train("bought_together", trigger="command")
    assert run.state == TrainingRun.State.PUBLISHED, run.verdict + run.error
    assert "products of baskets" in run.verdict
    assert run.counts["sessions_of_two"] == 400
    assert run.counts["clicks"] == 800, "a line is one, however often it was recorded"
    assert run.figures["candidate"]["hr@20"] > run.figures["baseline"]["hr@20"]
    best = run.open().recommend(["kettle-3"], 1)[0]
    assert (best.item_id, best.source) == ("cup-3", "bought_together")


def test_too_few_baskets_are_refused_in_the_words_of_baskets(basket_model):
    store_visits(synthetic_visits())
    store_baskets(20)
    run = train("bought_together", trigger="command")
    assert run.state == TrainingRun.State.REFUSED
    assert "needs 100 baskets of two products or more" in run.verdict
    assert "days have 20 and " in run.verdict


def test_a_refused_model_says_how_little_it_knew(basket_model, sessrec):
    """Hardly a pair has three baskets, and the last days have too few to judge it by."""
    store_baskets(110, kinds=200)
    sessrec["MODELS"]["bought_together"]["MIN_SESSIONS"] = 20
    run = train("bought_together", trigger="command")
    assert run.state == TrainingRun.State.REFUSED
    said = re.search(r"it knows what goes with (\d+) of (\d+) products", run.verdict)
    assert said, run.verdict + run.error
    assert int(said[1]) < int(said[2]) / 2


def test_it_is_evaluated_on_baskets_as_the_gate_did(basket_model, capsys):
    store_baskets(400)
    run = train("bought_together", trigger="command")
    call_command("sessrec_evaluate", "--json")
    figures = json.loads(capsys.readouterr().out)[str(run)]
    assert figures["predicts"] == "baskets"
    assert figures["cases"] == run.figures["candidate"]["cases"]
    assert figures["hr@20"] == pytest.approx(run.figures["candidate"]["hr@20"])
    call_command("sessrec_evaluate")
    assert f"{run}: {figures['cases']} lines of baskets, ranked" in capsys.readouterr().out


def test_two_models_of_baskets_are_compared_on_baskets(basket_model):
    store_baskets(1_000)
    runs = [train("bought_together", trigger="command") for _ in range(2)]
    found = compare(*runs)
    assert found.overall.cases == runs[0].figures["candidate"]["cases"]
    assert found.overall.difference == 0


def test_a_model_of_baskets_is_as_old_as_the_oldest_click_that_it_read(basket_model):
    long_ago = datetime.now(UTC) - timedelta(days=80)
    partitions.ensure(long_ago.date(), long_ago.date())
    looks = [["kettle-1", "cup-1"]] * 600  # whoever looked at both then makes them substitutes now
    for n in range(20):
        looks += [[f"kettle-{n}", f"cup-{n}"]] * 20
        looks += [[f"{what}-{n}", f"{what}-{(n + 1) % 20}"] for what in ("kettle", "cup")] * 200
    times = [long_ago + timedelta(seconds=n) for n in range(len(looks))]
    store_visits((uuid7(at), at, items) for at, items in zip(times, looks, strict=True))
    store_baskets(400)
    run = train("bought_together", trigger="command")
    assert run.open().recommend(["kettle-2"], 1)[0].item_id == "cup-2"
    assert not run.open().recommend(["kettle-1"], 1), "clicks of 80 days ago say so"
    assert run.expires_at <= long_ago + timedelta(days=90, hours=1)


def test_a_model_of_baskets_and_one_of_clicks_are_not_compared(basket_model, sessrec):
    store_baskets(400)
    sessrec["MODELS"]["neighbours"] = {"ESTIMATOR": "django_sessrec.recsys.Neighbours"}
    one, other = (train(model, trigger="command") for model in ("bought_together", "neighbours"))
    for pair in ((one, other), (other, one)):
        with pytest.raises(NotComparable, match=r"bought_together #\d+ predicts what else goes into"):
            compare(*pair)
