"""From events in Postgres to a model that serves, and every way in which that may end otherwise."""

import contextlib
import logging
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.core.files.storage import FileSystemStorage
from django.db import Error, OperationalError, connection

import django_sessrec
from django_sessrec import neural, tasks
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.training import artifact_store, click_files, pipeline
from django_sessrec.training.pipeline import train
from django_sessrec.training.schedule import due, newest_run
from tests.support.storages import folder_storage, share_models_through
from tests.support.visits import store_visits

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sessrec")]
State = TrainingRun.State
TESTS = "tests.training.estimators"


def train_one(model="neighbours", **options):
    return train(model, trigger="command", **options)


def test_clicks_become_a_model_that_serves(visits):
    stages = []
    run = train_one(progress=lambda stage, share, shown: stages.append(stage))

    assert run.state == State.PUBLISHED, run.error
    assert list(dict.fromkeys(stages)) == ["read", "fit", "evaluate", "refit", "publish"]
    assert run.figures["candidate"]["hr@20"] > 2 * run.figures["baseline"]["hr@20"]
    assert run.counts["sessions"] == 600
    assert run.parameters["self_weight"] == 1.5
    assert Promotion.objects.active("neighbours") == run
    assert Promotion.objects.get().promoted_by == "command"
    assert len(run.open().recommend(["item-1"], 8)) == 8
    card = artifact.read_manifest(run.folder)["card"]
    assert card["run"] == run.pk
    assert card["figures"]["candidate"]["hr@20"] == run.figures["candidate"]["hr@20"]
    by_intents = card["figures"]["baseline"]["by_intents"]
    assert sum(group["cases"] for group in by_intents.values()) == card["counts"]["cases"]
    assert "trained on 8 days" in card["limits"][1]


def test_what_is_published_knows_the_days_that_it_was_tested_on(visits, sessrec):
    newest = uuid7(datetime.now(UTC))
    store_visits([(newest, datetime.now(UTC) - timedelta(hours=1), ["item-1", "just-in"])])
    run = train_one()
    assert "just-in" in run.open().index
    assert "just-in" not in run.open(hold_out=True).index

    sessrec["MODELS"]["neighbours"]["REFIT"] = False
    assert "just-in" not in train_one().open().index


def test_no_fit_is_shown_the_days_that_it_is_tested_on(visits, sessrec):
    """A network whose epochs are chosen on them is tested on what it has seen."""
    sessrec["MODELS"]["popularity"]["ESTIMATOR"] = f"{TESTS}.Incorruptible"
    run = train_one("popularity")
    assert run.state == State.PUBLISHED, run.verdict


def test_scores_that_are_no_numbers_are_refused(visits, sessrec):
    sessrec["MODELS"]["neighbours"]["ESTIMATOR"] = f"{TESTS}.Diverging"
    run = train_one()
    assert run.state == State.REFUSED
    assert "NaN" in run.verdict


NOBODY = []
ONE_ITEM = [["a"] * 3] * 200
ONE_SESSION = [["a", "b", "c"]]
ONE_CLICK_EACH = [[f"item-{n % 7}"] for n in range(300)]


@pytest.mark.parametrize(
    ("sessions", "reason"),
    [
        (NOBODY, "days have 0 and 0."),
        (ONE_ITEM, "days have 200 and 1."),
        (ONE_SESSION, "days have 1 and 3."),
        (ONE_CLICK_EACH, "days have 0 and 7."),
    ],
)
def test_too_little_data_is_a_verdict_and_the_old_model_stays(visits, sessions, reason):
    good = train_one()
    Event.objects.all().delete()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    store_visits((uuid7(yesterday), yesterday, items) for items in sessions)
    run = train_one()
    assert (run.state, run.error) == (State.REFUSED, "")
    assert reason in run.verdict
    assert "needs 100 sessions of two clicks or more and 2 products" in run.verdict
    assert Promotion.objects.active("neighbours") == good


def test_a_young_shop_s_first_hundred_sessions_are_enough(sessrec):
    draw = np.random.default_rng(0)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    groups = draw.integers(0, 10, 100)
    store_visits(
        (uuid7(yesterday), yesterday, [f"item-{10 * group + n}" for n in draw.permutation(10)[:4]])
        for group in groups
    )
    run = train_one()
    assert run.state == State.PUBLISHED, run.verdict


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (f"{TESTS}.Raising", "ArithmeticError: the sun was in its eyes"),
        ("nowhere.Estimator", "No module named 'nowhere'"),
    ],
)
def test_a_failure_is_kept_with_its_reason_and_the_old_model_stays(visits, sessrec, estimator, reason):
    good = train_one()
    sessrec["MODELS"]["neighbours"]["ESTIMATOR"] = estimator
    run = train_one()
    assert run.state == State.FAILED
    assert reason in run.verdict
    assert "Traceback" in run.error
    assert Promotion.objects.active("neighbours") == good


def test_where_torch_is_missing_the_verdict_says_how_to_install_it(visits, sessrec, monkeypatch):
    monkeypatch.setattr(django_sessrec, "neural", neural)  # the package that is imported meanwhile goes again
    for module in [name for name in sys.modules if name.startswith("django_sessrec.neural")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    sessrec["MODELS"]["ranked"] = {"ESTIMATOR": "django_sessrec.neural.Ranked"}
    run = train_one("ranked")
    assert run.state == State.FAILED
    assert "needs torch: pip install 'django-sessrec[train]'" in run.verdict


def test_options_that_the_estimator_refuses_are_a_failure_with_the_reason(visits, sessrec):
    sessrec["MODELS"]["neighbours"]["OPTIONS"] = {"neighbours": -1}
    run = train_one()
    assert (run.state, run.stage) == (State.FAILED, "")
    assert "neighbours must be 1 to 1,000,000, not -1" in run.verdict


def test_an_option_that_the_estimator_does_not_know_is_named_with_those_it_knows(visits, sessrec):
    sessrec["MODELS"]["neighbours"]["OPTIONS"] = {"neighbors": 100}
    run = train_one()
    assert run.state == State.FAILED
    assert "SESSREC['MODELS']['neighbours']['OPTIONS'] has 'neighbors'" in run.verdict
    assert "Known options: " in run.verdict
    assert ", neighbours, " in run.verdict


def test_a_folder_that_can_t_be_written_ends_the_run_before_the_fit_and_the_old_model_stays(
    visits, sessrec, tmp_path
):
    good = train_one()
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder")
    sessrec["ARTIFACTS"] = in_the_way / "artifacts"
    run = train_one()
    assert (run.state, run.stage, run.artifact) == (State.FAILED, "", "")
    assert f"SESSREC['ARTIFACTS'] = {in_the_way}/artifacts can't be written" in run.verdict
    assert Promotion.objects.active("neighbours") == good


def test_a_disk_that_is_full_half_way_leaves_nothing_behind(visits, sessrec, monkeypatch):
    good = train_one()
    before = sorted(sessrec["ARTIFACTS"].iterdir())
    write = artifact.save

    def full(recommender, folder, **options):
        if folder.name.endswith("-hold-out"):
            return write(recommender, folder, **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifact, "save", full)
    run = train_one()
    assert run.state == State.FAILED
    assert "No space left" in run.verdict
    assert sorted(sessrec["ARTIFACTS"].iterdir()) == before
    assert Promotion.objects.active("neighbours") == good


def test_a_model_s_own_bounds_beat_the_global_ones(visits, sessrec):
    of_the_rest = train_one("popularity")
    sessrec["MODELS"]["popularity"] |= {"VALIDATION_FRACTION": 0.4, "GATE_TOLERANCE": 1.0}
    run = train_one("popularity")
    assert run.counts["tested_from"] < of_the_rest.counts["tested_from"]
    sessrec["MODELS"]["popularity"]["ESTIMATOR"] = f"{TESTS}.Unpopular"
    assert "for the model in service" not in train_one("popularity").verdict, "all that it has may be lost"

    sessrec["MODELS"]["neighbours"]["MIN_SESSIONS"] = 10_000
    assert "A training run needs 10000 sessions" in train_one().verdict


def test_old_artifacts_go_and_what_may_be_rolled_back_to_stays(visits, sessrec):
    runs = [train_one("popularity") for _ in range(artifact_store.KEPT + 2)]
    kept = [run for run in runs if run.folder.exists()]
    assert kept == runs[-artifact_store.KEPT :]
    assert len(list(sessrec["ARTIFACTS"].iterdir())) == 2 * artifact_store.KEPT


class Interrupted(FileSystemStorage):
    """A storage in whose deletes, once `armed`, the process is stopped or its database is gone."""

    armed = ""

    def delete(self, name):
        if self.armed == "stopped":
            raise SystemExit(143)  # as at SIGTERM
        if self.armed == "without database":
            with contextlib.suppress(Error), connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        super().delete(name)


@pytest.mark.parametrize("how", ["stopped", "without database"])
def test_what_was_promoted_stays_whatever_becomes_of_the_cleaning_up(
    visits, settings, tmp_path, monkeypatch, how
):
    entry = {"BACKEND": f"{__name__}.Interrupted", "OPTIONS": {"location": tmp_path / "storage"}}
    share_models_through(settings, entry)
    monkeypatch.setattr(artifact_store, "KEPT", 1)
    first = train_one("popularity")
    monkeypatch.setattr(artifact_store, "prune", armed(artifact_store.prune, monkeypatch, how))
    with contextlib.suppress(SystemExit, Error):
        train_one("popularity")
    connection.close()

    second = Promotion.objects.active("popularity")
    assert second.pk > first.pk
    assert second.state == State.PUBLISHED, second.verdict
    assert len(second.open().recommend([], 3)) == 3


def test_a_run_that_serves_stays_where_the_answer_to_its_last_statement_was_lost(visits, monkeypatch, caplog):
    caplog.set_level(logging.ERROR)
    written = pipeline._promote

    def unanswered(run, verdict):
        written(run, verdict)
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(pipeline, "_promote", unanswered)
    run = train_one("popularity")
    assert (run.state, Promotion.objects.active("popularity")) == (State.PUBLISHED, run)
    assert len(run.open().recommend([], 3)) == 3
    assert run.hold_out_folder.exists()


def armed(prune, monkeypatch, how):
    """`prune`, in which the storage is interrupted."""

    def interrupted(model):
        monkeypatch.setattr(Interrupted, "armed", how)
        return prune(model)

    return interrupted


def test_what_is_asked_for_twice_is_trained_once(visits):
    known = newest_run("popularity")
    assert train("popularity", trigger="ana", after=known).state == State.PUBLISHED
    assert train("popularity", trigger="ana", after=known) is None
    assert train("popularity", trigger="ana", after=newest_run("popularity")).state == State.PUBLISHED


def test_a_model_is_due_when_its_hours_are_over(visits, sessrec):
    sessrec["MODELS"]["popularity"]["EVERY_HOURS"] = 2
    assert due("popularity")
    run = train("popularity", trigger="schedule", only_if_due=True)
    assert run.state == State.PUBLISHED
    assert train("popularity", trigger="schedule", only_if_due=True) is None

    run.created_at -= timedelta(hours=1.5)
    run.save()
    assert not due("popularity")
    run.state = State.FAILED  # is tried again after an hour
    run.save()
    assert due("popularity")


@pytest.mark.parametrize("task", [tasks.train, tasks.train_due])
def test_what_keeps_one_model_from_being_trained_stops_no_other(visits, monkeypatch, task):
    monkeypatch.setattr(pipeline, "fail_killed", raising_for("neighbours", pipeline.fail_killed))
    with pytest.raises(OSError, match="Input/output error"):
        task()
    assert Promotion.objects.active("popularity")
    assert not TrainingRun.objects.filter(model="neighbours").exists()


def raising_for(model, verb):
    """`verb`, but the disk fails for one model."""

    def fails(of):
        if of == model:
            raise OSError(5, "Input/output error")
        return verb(of)

    return fails


def test_click_files_that_can_t_be_tidied_stop_no_schedule(visits, sessrec, monkeypatch, caplog):
    monkeypatch.setattr(click_files, "tidy", lambda: raising_for("all", str)("all"))
    assert set(tasks.train_due()) == {"neighbours", "popularity"}
    assert "could not tidy the click files" in caplog.text


def test_a_disk_that_fails_says_nothing_of_the_model_that_serves(visits, settings, tmp_path):
    share_models_through(settings, folder_storage(tmp_path / "storage"))
    run = train_one("popularity")
    run.created_at -= timedelta(hours=2)
    run.save()
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder")
    settings.SESSREC = settings.SESSREC | {"ARTIFACTS": in_the_way / "artifacts"}
    assert due("popularity") is None
