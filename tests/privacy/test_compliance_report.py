"""The compliance report, word for word, and what would make it a lie."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

import django_sessrec
from django_sessrec.capture import partitions
from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.ids import uuid7
from django_sessrec.models import AuditEntry, Promotion, Quarantine, TrainingRun
from django_sessrec.privacy.compliance_report import as_markdown, compliance_report
from django_sessrec.recsys import artifact
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.sessions import SessionLog
from tests.support.visits import click_row

pytestmark = pytest.mark.django_db(transaction=True)

GOLDEN = Path(__file__).parent
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CARD = {
    "estimator": "django_sessrec.recsys.Popularity",
    "parameters": {"half_life_days": 7.0},
    "window": ["2026-01-29T00:00:00+00:00", "2026-02-28T00:00:00+00:00"],
    "counts": {"sessions": 1200, "clicks": 5000, "items": 640, "tested_from": 1772020800},
    "figures": {"candidate": {"hr@20": 9.1}},
    "limits": ["It does not know products that came after its training run."],
}


@pytest.fixture
def past(settings, tmp_path):
    """A promoted model, a view of the day before, a quarantined visit, an export and a release."""
    settings.SESSREC = settings.SESSREC | {
        "ARTIFACTS": tmp_path,
        "RETENTION_DAYS": 90,
        "TRAINING_WINDOW_DAYS": 90,
        "MODELS": {
            "popularity": {"ESTIMATOR": CARD["estimator"]},
            "net": {"ESTIMATOR": "shop.models.Net", "TRAINING_WINDOW_DAYS": 30},
        },
    }
    artifact.save(
        Popularity().fit(SessionLog.from_clicks([1], ["a"], [9])), tmp_path / "popular-1", card=CARD
    )
    promoted = TrainingRun.objects.create(pk=7, model="popularity", state="published", artifact="popular-1")
    Promotion.objects.create(
        model="popularity", run=promoted, promoted_by="schedule", reason="passed the gate"
    )
    yesterday = NOW - timedelta(days=1)
    copy_events([click_row(uuid7(yesterday), "1", yesterday)])
    Quarantine.objects.create(session_id=uuid7(), reason="flood", clicks=99)
    Quarantine.objects.create(session_id=uuid7(), reason="flood", clicks=99, released_at=NOW)
    AuditEntry.objects.note(AuditEntry.Action.EXPORT, "ada", rows=12, start="2026-02-01", end="2026-02-28")
    AuditEntry.objects.note(AuditEntry.Action.RELEASE, "ada", reason="a school class", visits=1)
    for model, field in ((Promotion, "promoted_at"), (Quarantine, "found_at"), (AuditEntry, "happened_at")):
        model.objects.update(**{field: yesterday})
    yield tmp_path
    partitions.drop_older_than(90)  # a test's end empties tables and leaves partitions


def test_the_report_is_what_it_was(past):
    """A change that is meant goes into compliance_report.md and .json, too."""
    report = compliance_report(NOW) | {"package_version": "1.2.3"}
    assert as_markdown(report) == (GOLDEN / "compliance_report.md").read_text(encoding="utf-8")
    assert report == json.loads((GOLDEN / "compliance_report.json").read_text(encoding="utf-8"))


def test_it_follows_the_settings(past, settings):
    settings.SESSREC = settings.SESSREC | {"COOKIE_NAME": "visit", "CONSENT": None, "RETENTION_DAYS": 3}
    words = as_markdown(compliance_report(NOW))
    assert "`visit_off`" in words
    assert "every session is contextual" in words
    assert "Deleted after 3 days" in words
    assert "the stream" not in words
    assert "the storage of models" not in words
    assert "net: trained on at most the last 2.25 days" in words
    assert "never longer than the retention below" in words


def test_it_promises_no_removal_where_everything_is_kept(past, settings):
    settings.SESSREC = settings.SESSREC | {"RETENTION_DAYS": None}
    words = as_markdown(compliance_report(NOW))
    assert "popularity: trained on at most the last 90 days" in words
    assert "never longer than the retention" not in words
    assert "no model is removed by its age" in words


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@valkey.example:6379/0", "valkey.example"),
        ("unix:///run/valkey.sock", "/run/valkey.sock"),
    ],
)
def test_it_names_who_receives_data_besides_the_database(past, settings, url, shown):
    settings.SESSREC = settings.SESSREC | {"STREAM_URL": url, "ARTIFACTS_STORAGE": "models"}
    words = as_markdown(compliance_report(NOW))
    assert f"does not answer, the stream ({shown}), the storage of models (models) |" in words
    assert "secret" not in words


def test_a_row_that_should_be_gone_is_told(past, settings):
    settings.SESSREC = settings.SESSREC | {"RETENTION_DAYS": 30}
    tables = {
        each["table"]: each["within_limit"]
        for each in compliance_report(NOW + timedelta(32))["retention"]["tables"]
    }
    assert tables["sessrec_event"] is False
    assert tables["sessrec_impression"] is True, "there is none"


def test_every_model_on_disk_proves_its_age_or_is_told(past, settings, capsys):
    settings.SESSREC = settings.SESSREC | {"RETENTION_DAYS": 30}
    (past / "popular-0").mkdir()  # left by somebody: nothing tells what is in it
    proof = {
        each["artifact"]: (each["oldest_click"], each["within_limit"])
        for each in compliance_report(NOW)["retention"]["artifacts"]
    }
    assert proof == {"popular-0": (None, False), "popular-1": (CARD["window"][0], False)}
    call_command("sessrec_compliance_report", out=past / "pack")
    assert "popular-1: older than RETENTION_DAYS allows; run sessrec_prune" in capsys.readouterr().err
    settings.SESSREC = settings.SESSREC | {"RETENTION_DAYS": 90}
    assert compliance_report(NOW)["retention"]["artifacts"][-1]["within_limit"]


def test_a_model_whose_card_is_gone_is_told(past):
    (past / "popular-1" / "manifest.json").unlink()
    assert "its card can't be read" in as_markdown(compliance_report(NOW))


def test_a_detail_may_have_any_key(past):
    AuditEntry.objects.note(AuditEntry.Action.EXPORT, "ada", items=3, keys="a")
    assert "| keys: a, items: 3 |" in as_markdown(compliance_report(NOW))


def test_it_names_no_session(past):
    report = json.dumps(compliance_report(NOW))
    assert not [str(row.pk) for row in Quarantine.objects.all() if str(row.pk) in report]


def test_the_command_writes_both_and_leaves_a_trace(past, tmp_path, capsys):
    out = tmp_path / "pack"
    call_command("sessrec_compliance_report", out=out)
    assert str(out / "compliance_report.md") in capsys.readouterr().out
    assert (
        json.loads((out / "compliance_report.json").read_text())["package_version"]
        == django_sessrec.__version__
    )
    assert (out / "compliance_report.md").read_text().startswith("# Compliance report")
    assert AuditEntry.objects.first().action == "evidence"
    with pytest.raises(CommandError, match="can't be written"):
        call_command("sessrec_compliance_report", out=out / "compliance_report.md")


def test_it_says_what_is_counted_without_consent(past, settings):
    settings.SESSREC = settings.SESSREC | {"COUNT_ALL_ORDERS": True, "ORDER_LINES_DAYS": None}
    words = as_markdown(compliance_report(NOW))
    assert "had; of orders the day, the amount and a hash of order and product" in words
    assert "these lines are not deleted by age" in words
