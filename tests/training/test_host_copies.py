"""A host's copies of the models: up to date, or the one before with the reason."""

import logging
import os
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from django_sessrec import database, tasks
from django_sessrec.api.metrics import Figures
from django_sessrec.host_models import HostedModel
from django_sessrec.models import TrainingRun
from django_sessrec.operations import hosts
from django_sessrec.operations.findings import Code
from django_sessrec.operations.upkeep import upkeep
from django_sessrec.recsys import artifact
from django_sessrec.serving import active_models
from django_sessrec.serving.active_models import active
from django_sessrec.training import artifact_store, comparison, host_copies
from django_sessrec.training.host_copies import AlreadyFetching, Fetcher, only_fetcher
from django_sessrec.training.promotion import PromotionError, promote, roll_back
from django_sessrec.training.run_recorder import fail
from tests.support.models import ESTIMATORS, fitted
from tests.support.storages import names, read, replace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_process", "storage")]
TRAILS = [["tea", "cup", "pot"], ["cup", "pot"], ["tea", "pot"]] * 10
CARD = dict.fromkeys(("estimator", "window", "counts", "figures", "limits"), "")


@pytest.fixture
def on(settings, tmp_path):
    """`with on("web1"):` whatever runs inside runs on that host, with its own folder."""

    @contextmanager
    def on(host):
        before = settings.SESSREC
        settings.SESSREC = before | {"ARTIFACTS": tmp_path / host}
        active_models.forget()
        try:
            yield tmp_path / host
        finally:
            settings.SESSREC = before
            active_models.forget()

    return on


@pytest.fixture
def publish(on):
    """publish(): a run is published and promoted by the training host."""

    def publish(*, promoted=True, **columns):
        run = TrainingRun.objects.create(model="neighbours", trigger="test", **columns)
        with on("training"):
            model = fitted(TRAILS, ESTIMATORS["neighbours"])
            artifact_store.publish(run, model, model, CARD)
            run.state = TrainingRun.State.PUBLISHED
            run.save()
            if promoted:
                promote(run, "test")
        return run

    return publish


def step(fetcher):
    """One look at the model `neighbours`, whatever had to be waited for."""
    fetcher._due.clear()
    return next(row for row in fetcher.step() if row.model == "neighbours")


def found():
    return {finding.code: finding for finding in hosts.copies()}


def test_every_host_serves_what_the_training_host_promoted(publish, on):
    run = publish()
    for host in ("web1", "web2"):
        with on(host) as folder:
            row = step(Fetcher(host))
            assert (row.run, row.problem) == (run, "")
            assert row.size > 1_000
            assert active("neighbours").run_id == run.pk
            assert active("neighbours").recommender.recommend(["tea"], 2)
            assert {path.name for path in folder.iterdir()} == {run.artifact}  # no hold-out model
    assert set(found()) == {Code.HOST_CURRENT}


def test_a_page_never_fetches(publish, on):
    publish()
    with on("web1") as folder:
        assert active("neighbours") is None
        assert not folder.exists()


def test_until_the_new_one_is_here_the_one_before_serves_even_in_a_new_process(publish, on):
    first = publish()
    with on("web1"):
        step(Fetcher("web1"))
        assert active("neighbours").run_id == first.pk
    second = publish()
    with on("web1"):
        assert active("neighbours").run_id == first.pk
        active_models.forget()
        assert active("neighbours").run_id == first.pk
        step(Fetcher("web1"))
        assert active("neighbours").run_id == second.pk


def test_a_host_that_cannot_fetch_keeps_the_one_before_and_says_so(publish, on, caplog):
    first = publish()
    fetcher = Fetcher("web1")
    with on("web1"):
        step(fetcher)
    second = publish()
    whole = read(f"{second.artifact}/items.npy")
    replace(f"{second.artifact}/items.npy", whole[:100])
    with on("web1"):
        row = step(fetcher)
        assert row.run == first
        assert "items.npy in the storage is truncated" in row.problem
        assert active("neighbours").run_id == first.pk
        finding = found()[Code.HOST_KEEPS_OLD]
        assert finding.message.startswith(f"web1 still serves neighbours #{first.pk}, and can't fetch")
        assert gauge("sessrec_host_model_current") == {("web1", "neighbours"): 0.0}
        replace(f"{second.artifact}/items.npy", whole)
        assert step(fetcher).run == second
    assert set(found()) == {Code.HOST_CURRENT}
    assert gauge("sessrec_host_model_current") == {("web1", "neighbours"): 1.0}
    assert len([record for record in caplog.records if "can't fetch" in record.message]) == 1


def gauge(name):
    (family,) = [each for each in Figures().collect() if each.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_a_host_without_any_says_so(publish, on):
    run = publish()
    with on("training"):
        artifact_store.remove(run)
    with on("web1"):
        assert step(Fetcher("web1")).run is None
        assert active("neighbours") is None
    message = found()[Code.HOST_KEEPS_OLD].message
    assert message.startswith(f"web1 has no neighbours, and can't fetch neighbours #{run.pk}: ")


def test_what_fails_is_not_tried_at_every_look(publish, on, monkeypatch):
    monkeypatch.setattr(host_copies, "FIRST_PAUSE", 60.0)  # longer than five looks take
    run = publish()
    replace(f"{run.artifact}/items.npy", b"")
    tries = []
    bring = artifact_store.bring
    monkeypatch.setattr(
        artifact_store, "bring", lambda *args, **options: tries.append(1) or bring(*args, **options)
    )
    fetcher = Fetcher("web1")
    with on("web1"):
        for _ in range(5):
            fetcher.step()
        assert len(tries) == 1
        for _ in range(12):
            step(fetcher)
    assert set(fetcher._pauses.values()) == {host_copies.LONGEST_PAUSE}


def test_a_copy_that_is_damaged_on_the_hosts_own_disk_is_fetched_again(publish, on):
    run = publish()
    fetcher = Fetcher("web1")
    with on("web1"):
        step(fetcher)
        file = run.folder / "items.npy"
        os.truncate(file, 100)
        step(fetcher)
        assert artifact.verify(run.folder)
        os.truncate(file, 100)
        step(Fetcher("web1"))  # the fetcher was restarted meanwhile
        assert artifact.verify(run.folder)


def test_a_copy_that_vanished_is_fetched_again(publish, on):
    run = publish()
    fetcher = Fetcher("web1")
    with on("web1"):
        step(fetcher)
        artifact_store._remove_here(run)
        assert active("neighbours") is None
        step(fetcher)
        assert active("neighbours").run_id == run.pk


def test_a_rollback_needs_no_storage(publish, on):
    first, second = publish(), publish()
    with on("web1"):
        step(Fetcher("web1"))
        for name in names():
            replace(name, b"away")
        roll_back("neighbours", "test")
        assert active("neighbours").run_id == first.pk
        assert second.folder.exists()


def test_staff_may_promote_on_a_host_that_has_no_copy(publish, on):
    first = publish(promoted=False)
    publish()
    with on("web2"):
        promote(first, "anna")
        assert not first.folder.exists()
        assert step(Fetcher("web2")).run == first


def test_what_the_storage_lost_cannot_be_promoted(publish, on):
    run = publish(promoted=False)
    replace(f"{run.artifact}/manifest.json", b"{}")
    with on("web2"), pytest.raises(PromotionError, match="is not the one that was published"):
        promote(run, "anna")


def test_hosts_keep_no_more_than_may_be_rolled_back_to(publish, on, monkeypatch):
    monkeypatch.setattr(artifact_store, "KEPT", 2)
    fetcher = Fetcher("web1")
    runs = []
    for _ in range(4):
        runs.append(publish())
        with on("web1"):
            step(fetcher)
    with on("web1") as folder:
        step(fetcher)
        assert {path.name for path in folder.iterdir()} == {run.artifact for run in runs[-2:]}
    with on("training"):
        artifact_store.prune("neighbours")
        assert {name.split("/")[0] for name in names()} == {
            each.name for run in runs[-2:] for each in (run.folder, run.hold_out_folder)
        }


def test_a_host_that_cannot_fetch_for_long_still_keeps_what_it_serves(publish, on, monkeypatch):
    monkeypatch.setattr(artifact_store, "KEPT", 1)
    fetcher = Fetcher("web1")
    first = publish()
    with on("web1"):
        step(fetcher)
    for _ in range(3):
        replace(f"{publish().artifact}/items.npy", b"")
        with on("web1"):
            step(fetcher)
            assert active("neighbours").run_id == first.pk


def test_past_retention_a_copy_is_removed_even_where_nothing_replaces_it(publish, on):
    run = publish(window_start=timezone.now() - timedelta(days=80))
    fetcher = Fetcher("web1")
    with on("web1"):
        step(fetcher)
        TrainingRun.objects.filter(pk=run.pk).update(window_start=timezone.now() - timedelta(days=91))
        step(fetcher)
        assert not run.folder.exists()
        assert active("neighbours") is None
        step(fetcher)
        assert not run.folder.exists()
    assert upkeep()["artifacts"] == [run.artifact]
    assert names() == set()


def test_a_model_that_has_left_the_settings_leaves_every_host(publish, on, settings):
    run = publish()
    fetcher = Fetcher("web1")
    with on("web1"):
        step(fetcher)
        settings.SESSREC = settings.SESSREC | {"MODELS": {}}
        fetcher.step()
        assert not run.folder.exists()


def test_a_hosts_wrong_clock_removes_nothing_and_does_not_look_silent(publish, on, monkeypatch):
    run = publish(window_start=timezone.now() - timedelta(days=10))
    wrong = timezone.now() + timedelta(days=200)
    monkeypatch.setattr(timezone, "now", lambda: wrong)
    fetcher = Fetcher("web1")
    with on("web1"):
        for _ in range(2):
            assert step(fetcher).run == run
    assert abs(HostedModel.objects.get(model="neighbours").seen_at - database.now()) < timedelta(minutes=1)
    assert set(found()) == {Code.HOST_CURRENT}


def test_a_silent_host_is_named_and_forgotten_after_a_day(publish, on):
    publish()
    with on("web1"):
        step(Fetcher("web1"))
    HostedModel.objects.update(seen_at=database.now() - timedelta(minutes=7))
    (finding,) = [each for each in hosts.copies() if each.code != Code.HOST_CURRENT]
    assert finding.code == Code.HOST_SILENT
    assert finding.message.startswith("web1 was last seen 7 minutes ago")
    assert gauge("sessrec_host_seen_age_seconds")[("web1",)] == pytest.approx(420, abs=60)
    HostedModel.objects.update(seen_at=database.now() - timedelta(hours=25))
    assert upkeep()["silent_hosts"] == ["web1"]
    assert set(found()) == {Code.HOST_NONE}


def test_where_all_share_a_folder_there_are_no_hosts(settings):
    settings.SESSREC = settings.SESSREC | {"ARTIFACTS_STORAGE": None}
    assert list(hosts.copies()) == []
    with pytest.raises(CommandError, match="all hosts read the folder"):
        call_command("sessrec_fetch", "--once")


def test_what_a_killed_fetch_left_is_removed_after_an_hour(on):
    with on("web1") as folder:
        old, young = folder / ".fetching.tea-1.x", folder / ".fetching.tea-2.x"
        for path in (old, young):
            path.mkdir(parents=True)
        os.utime(old, (time.time() - 4_000,) * 2)
        Fetcher("web1").step()
        assert list(folder.glob(".fetching.*")) == [young]


def test_one_process_fetches_into_a_folder(on):
    with on("web1"), only_fetcher(), pytest.raises(AlreadyFetching, match=r"keeps .*web1 up to date"):
        only_fetcher().__enter__()


def test_another_user_can_enter_the_folder_whatever_the_umask(on):
    before = os.umask(0o077)
    try:
        with on("var/models") as folder, only_fetcher():
            assert [each.stat().st_mode & 0o777 for each in (folder, folder.parent)] == [0o755, 0o755]
    finally:
        os.umask(before)


def test_a_folder_that_can_t_be_made_is_named(on, settings, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with on("file/models"), pytest.raises(CommandError, match=r"Not a directory: .*file/models"):
        call_command("sessrec_fetch", "--once")


def test_fetch_once_tells_whether_all_is_here(publish, on, capsys):
    run = publish()
    with on("web1"):
        call_command("sessrec_fetch", "--once", "--host", "web1")
        assert f"neighbours: up to date. Here: neighbours #{run.pk}" in capsys.readouterr().out
        replace(f"{publish().artifact}/items.npy", b"")
        with pytest.raises(CommandError, match="a model in service is not here"):
            call_command("sessrec_fetch", "--once", "--host", "web1")
        assert "can't fetch neighbours #" in capsys.readouterr().out


def test_a_promoted_run_past_its_retention_is_no_host_s_fault(publish, on, capsys):
    publish(window_start=timezone.now() - timedelta(days=89))
    TrainingRun.objects.update(window_start=timezone.now() - timedelta(days=400))
    with on("web1"):
        call_command("sessrec_fetch", "--once", "--host", "web1")
    assert "neighbours: waits for the next run. Here: none" in capsys.readouterr().out
    assert {finding.code for finding in hosts.copies()} == {Code.HOST_CURRENT}
    assert "web1 waits for the next run of neighbours." in {finding.message for finding in hosts.copies()}


def test_what_a_host_goes_back_to_is_neither_removed_nor_fetched_again_and_again(publish, on):
    first = publish()
    publish()
    with on("training"):
        roll_back("neighbours", "ada")
        waiting = [publish(promoted=False) for _ in range(artifact_store.KEPT)]
        promote(waiting[-1], "ada")
    with on("web1") as folder:
        fetcher = Fetcher("web1")
        step(fetcher)
        fetched = (folder / first.artifact).stat().st_ino
        step(fetcher)
        assert (folder / first.artifact).stat().st_ino == fetched
    with on("training"):
        artifact_store.prune_all()
        assert roll_back("neighbours", "ada").run == first


def test_a_run_that_is_being_removed_from_the_storage_can_t_be_promoted(publish, on, monkeypatch):
    oldest = publish()
    with on("training"):
        for _ in range(artifact_store.KEPT + 1):
            publish()
    seen = TrainingRun.objects.get(pk=oldest.pk)  # as a page has it that asks for a reason
    refused = []

    def promoted_meanwhile(run):
        if run == seen:
            with on("web1"), pytest.raises(PromotionError, match=f"{seen} was removed meanwhile") as problem:
                promote(seen, "ada")
            refused.append(problem)

    monkeypatch.setattr(artifact_store, "remove", promoted_meanwhile)
    with on("training"):
        artifact_store.prune("neighbours")
    assert len(refused) == 1


def test_what_a_training_host_had_half_fetched_when_it_was_killed_is_removed(on):
    with on("training") as folder:
        half = folder / ".fetching.tea-1.x"
        half.mkdir(parents=True)
        os.utime(half, (time.time() - 4_000,) * 2)
        tasks.train_due()
        assert not half.exists()


def test_a_host_that_compares_runs_has_their_hold_out_models(publish, on):
    runs = [publish(), publish()]
    with on("web1"):
        step(Fetcher("web1"))
        assert not any(comparison.comparable(run) for run in runs)
        step(Fetcher("web1", everything=True))
        assert all(comparison.comparable(run) for run in runs)


def test_another_training_host_fetches_what_it_compares_with(publish, on):
    run = publish()
    with on("training2"):
        assert artifact_store.opened(run, hold_out=True).recommend(["tea"], 1)
        assert run.hold_out_folder.exists()


def test_what_a_failed_run_has_published_is_removed(publish, on, monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL)
    run = publish(promoted=False)
    delete = artifact_store.artifact_storage.delete

    def away(name):
        raise artifact_store.artifact_storage.StorageError("away")

    monkeypatch.setattr(artifact_store.artifact_storage, "delete", away)
    TrainingRun.objects.update(state=TrainingRun.State.RUNNING)
    fail(run, "it was killed")
    assert names()
    monkeypatch.setattr(artifact_store.artifact_storage, "delete", delete)
    upkeep()
    assert names() == set()


def test_what_a_run_published_is_what_serves_here(publish, on):
    """Somebody exchanged the folder on the host's disk for another artifact, which is whole by itself."""
    run = publish()
    with on("web1"):
        step(Fetcher("web1"))
        artifact_store._remove_here(run)
        artifact.save(fitted([["tea", "pot"]] * 9, ESTIMATORS["neighbours"]), run.folder, card={})
        with pytest.raises(artifact.ArtifactError, match="is not the artifact that neighbours #"):
            run.open()
        step(Fetcher("web1"))
        assert run.open()
