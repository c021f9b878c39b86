"""What Prometheus reads: right figures, to who has the token, whatever part is away."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from django_sessrec import database
from django_sessrec.api import metrics
from django_sessrec.capture import ledger, store
from django_sessrec.capture.event import make
from django_sessrec.capture.failed_events import store_failed
from django_sessrec.capture.fast_query import database_breaker
from django_sessrec.capture.partitions import ensure_ahead
from django_sessrec.ids import uuid7
from django_sessrec.models import Heartbeat, Promotion, TrainingRun
from tests.support.history import show

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = {"authorization": "Bearer secret"}


@pytest.fixture
def scraper(settings):
    settings.SESSREC = {**settings.SESSREC, "METRICS_TOKEN": "secret"}
    return Client(headers=TOKEN)


def figures(scraper):
    """Name and labels -> value."""
    answer = scraper.get("/sessrec/metrics/")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_every_row_is_told_by_its_outcome(scraper):
    event = make("view_item", "1", session_id=uuid7())
    store.write([event])
    store.write([event])
    store_failed([{"name": "nonsense"}], "name")
    ensure_ahead()  # the tables may have been made before midnight
    found = figures(scraper)
    rows = {labels[0]: value for (name, *labels), value in found.items() if name == "sessrec_rows_total"}
    nothing = {"failed": 0, "withdrawn": 0, "replayed": 0}
    assert rows == {"stored": 1, "duplicate": 1, "refused": 1, **nothing}
    assert found["sessrec_partitions_ahead_days",] >= 7
    assert 0 <= found["sessrec_last_event_age_seconds",] < 60


def test_lists_trainings_models_and_programs_are_told(scraper):
    event = make("view_item", "1", session_id=uuid7())
    show(event.session_id, event.occurred_at, ["1"])
    run = TrainingRun.objects.create(model="neighbours", state="published", trigger="t", estimator="e")
    Promotion.objects.create(model="neighbours", run=run, promoted_by="t")
    Heartbeat.objects.create(name="worker")
    found = figures(scraper)
    assert found["sessrec_lists_last_5_minutes", "home", "model"] == 1
    assert found["sessrec_training_runs_last_7_days", "neighbours", "published"] == 1
    assert found["sessrec_model_age_seconds", "neighbours"] >= 0
    assert found["sessrec_heartbeat_age_seconds", "worker"] >= 0


def test_a_training_is_a_sign_of_life_of_its_worker(scraper):
    long_ago, just_now = timezone.now() - timedelta(hours=1), timezone.now()
    Heartbeat.objects.create(name="train")
    Heartbeat.objects.update(seen_at=long_ago)
    run = TrainingRun.objects.create(model="net", trigger="schedule", heartbeat_at=just_now)
    assert figures(scraper)["sessrec_heartbeat_age_seconds", "train"] < 60
    run.delete()
    assert figures(scraper)["sessrec_heartbeat_age_seconds", "train"] >= 3_600


def test_a_part_that_is_away_hides_no_other(scraper, settings, tmp_path):
    settings.SESSREC = {**settings.SESSREC, "STREAM_URL": f"unix://{tmp_path}/nobody.sock"}
    found = figures(scraper)
    assert found["sessrec_up", "stream"] == 0
    assert found["sessrec_up", "ledger"] == 1


def test_a_part_that_is_locked_is_given_up(scraper, monkeypatch):
    asked = []

    def locked(_ledger=None):
        with database.connection().cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            asked.append(cursor.fetchone())
            cursor.execute("SELECT pg_sleep(60)")

    monkeypatch.setattr(ledger, "total", locked)
    monkeypatch.setattr(metrics, "TIMEOUT_SECONDS", 1.5)
    found = figures(scraper)
    assert asked == [("1300ms",)]
    assert found["sessrec_up", "ledger"] == 0
    assert found["sessrec_up", "lists"] == 1
    assert not database_breaker.resting


@pytest.mark.parametrize("brought", ["", "Bearer wrong", "Basic c2VjcmV0"])
def test_without_the_token_there_is_nothing(scraper, brought):
    assert Client(headers={"authorization": brought}).get("/sessrec/metrics/").status_code == 404


def test_without_a_token_in_the_settings_there_is_nothing():
    assert Client(headers={"authorization": "Bearer "}).get("/sessrec/metrics/").status_code == 404
    assert Client(headers={"authorization": "Bearer None"}).get("/sessrec/metrics/").status_code == 404
