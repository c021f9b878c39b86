"""The promoted run serves, and nothing that is broken ever takes its place."""

import os
import shutil
import threading

import pytest
from django.db import connection

from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.serving import active_models
from django_sessrec.serving.active_models import active
from tests.support.models import folder_of

pytestmark = pytest.mark.django_db


def serving_run() -> int | None:
    model = active("neighbours")
    return model.run_id if model else None


def test_nothing_serves_before_the_first_promotion():
    assert active("neighbours") is None


def test_new_promotion_takes_over_and_rolling_back_brings_the_old_one_back(trails, promote):
    first, second = promote(trails), promote(trails)
    assert serving_run() == second.pk
    Promotion.objects.create(model="neighbours", run=first, promoted_by="test", reason="rolled back")
    assert serving_run() == first.pk


def test_promotion_is_noticed_at_the_next_check_only(trails, promote, monkeypatch, django_assert_num_queries):
    first = promote(trails)
    monkeypatch.setattr(active_models, "CHECK_SECONDS", 3600)
    assert serving_run() == first.pk
    promote(trails)
    with django_assert_num_queries(0):
        assert serving_run() == first.pk


def test_popular_items_of_a_model_ask_for_no_reasons(trails, promote, monkeypatch):
    promote(trails)
    model = active("neighbours")
    expected = [each.item_id for each in model.recommender.recommend([], active_models.POPULAR)]
    monkeypatch.setattr(type(model.recommender), "because", None)
    assert model.popular == expected
    assert len(expected) > 1


def test_unchanged_run_is_not_opened_again(trails, promote):
    promote(trails)
    assert active("neighbours") is active("neighbours")


def test_truncated_artifact_leaves_the_run_so_far(trails, promote, settings, caplog):
    first = promote(trails)
    assert serving_run() == first.pk
    second = promote(trails)
    file = folder_of(second, settings) / "items.npy"
    os.truncate(file, file.stat().st_size // 2)
    assert [serving_run() for _ in range(3)] == [first.pk] * 3
    (record,) = caplog.records
    assert f"neighbours #{second.pk}" in record.message
    assert "items.npy is truncated" in str(record.exc_info[1])


def test_missing_folder_leaves_the_run_so_far_and_serves_once_it_arrives(trails, promote, settings, tmp_path):
    first = promote(trails)
    assert serving_run() == first.pk
    second = promote(trails)
    shutil.move(folder_of(second, settings), tmp_path / "still copying")
    assert serving_run() == first.pk
    shutil.move(tmp_path / "still copying", folder_of(second, settings))
    assert serving_run() == second.pk


def test_pickle_in_place_of_an_artifact_is_not_opened(settings):
    run = TrainingRun.objects.create(model="neighbours", trigger="test", artifact="evil")
    Promotion.objects.create(model="neighbours", run=run, promoted_by="test")
    folder_of(run, settings).mkdir(parents=True)
    (folder_of(run, settings) / "manifest.json").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    assert active("neighbours") is None


def test_database_without_our_tables_leaves_the_run_so_far(trails, promote, break_table):
    first = promote(trails)
    assert serving_run() == first.pk
    break_table("sessrec_promotion")
    assert serving_run() == first.pk


@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_child_of_a_fork_remembers_no_model_of_its_parent(trails, promote, settings):
    promote(trails)
    assert active("neighbours")
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        settings.SESSREC = settings.SESSREC | {"DATABASE": "none, so that the parent's socket is left alone"}
        os.write(writing, b"remembered" if active("neighbours") else b"forgotten")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 10) == b"forgotten"
    os.close(reading)
    os.close(writing)


@pytest.mark.django_db(transaction=True)
def test_many_threads_while_runs_change(trails, promote):
    promote(trails)
    active("neighbours")
    seen: list[int] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            model = active("neighbours")
            seen.append(len(model.recommender.recommend(trails[0], 5)))
        connection.close()

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    last = [promote(trails) for _ in range(4)][-1]
    stop.set()
    for reader in readers:
        reader.join()
    assert set(seen) == {5}
    assert serving_run() == last.pk
