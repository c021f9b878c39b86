"""From events in Postgres to a model that serves, and every way in which that may end otherwise."""

import pytest

from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.training import artifacts
from django_sessrec.training.pipeline import train

from .conftest import store_visits, synthetic_visits

pytestmark = pytest.mark.django_db(transaction=True)
State = TrainingRun.State


def test_clicks_become_a_model_that_serves(sessrec):
    store_visits(synthetic_visits())
    stages = []
    run = train("neighbours", trigger="command", progress=lambda stage, share, shown: stages.append(stage))

    assert run.state == State.PUBLISHED, run.error or run.verdict
    assert list(dict.fromkeys(stages)) == ["read", "fit", "evaluate", "refit", "publish"]
    assert run.figures["candidate"]["hr@20"] > run.figures["baseline"]["hr@20"]
    assert run.counts["sessions"] == 600
    assert Promotion.objects.active("neighbours") == run
    recommender = artifact.load(artifacts.folder(run))
    assert len(recommender.recommend(["item-1"], 8)) == 8
