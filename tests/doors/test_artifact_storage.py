"""Artifacts through a storage: what arrives is what was published, or it is refused with the reason."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from types import SimpleNamespace

import pytest
from django.core.files.storage import FileSystemStorage

from django_sessrec import artifact_storage
from django_sessrec.artifact_storage import StorageError, delete, download, upload
from django_sessrec.recsys import artifact
from django_sessrec.recsys.artifact import ArtifactError
from tests.support.models import ESTIMATORS, fitted
from tests.support.storages import names, read, replace, share_models_through

TRAILS = [["tea", "cup", "pot"], ["cup", "pot"], ["tea", "pot"]] * 10
pytestmark = pytest.mark.usefixtures("storage")


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch):
    monkeypatch.setattr(artifact_storage, "PAUSES", (0, 0))


@pytest.fixture
def saved(tmp_path):
    """saved("name"): an artifact in the training host's folder, and its digest."""

    def save(name="tea-1", trails=TRAILS):
        folder = tmp_path / "training" / name
        artifact.save(fitted(trails, ESTIMATORS["neighbours"]), folder, card={})
        return folder, artifact.digest(folder)

    return save


@pytest.fixture
def here(tmp_path):
    """Another host's folder for the artifact."""
    return tmp_path / "web" / "tea-1"


def left_behind(here):
    return list(here.parent.iterdir()) if here.parent.exists() else []


def test_what_is_fetched_opens_and_is_what_was_published(saved, here):
    folder, digest = saved()
    upload(folder)
    download("tea-1", digest, here)
    assert artifact.digest(here) == digest
    opened = artifact.load(here)
    assert opened.recommend(["tea"], 3) == artifact.load(folder).recommend(["tea"], 3)
    assert left_behind(here) == [here]


def test_the_manifest_is_written_last(saved, monkeypatch):
    put, order = artifact_storage._put, []
    monkeypatch.setattr(artifact_storage, "_put", lambda name, path: order.append(name) or put(name, path))
    folder, _digest = saved()
    upload(folder)
    assert order[-1] == "tea-1/manifest.json"
    assert set(order) == names()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[: len(content) // 2], "truncated or was changed"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "truncated or was changed"),
        (lambda content: b"", "truncated or was changed"),
    ],
    ids=["truncated", "one bit", "empty"],
)
def test_a_damaged_file_is_refused_and_leaves_nothing(saved, here, damage, reason):
    folder, digest = saved()
    upload(folder)
    replace("tea-1/items.npy", damage(read("tea-1/items.npy")))
    with pytest.raises(ArtifactError, match=f"items.npy in the storage is {reason}"):
        download("tea-1", digest, here)
    assert left_behind(here) == []


def test_a_damaged_manifest_is_refused(saved, here):
    folder, digest = saved()
    upload(folder)
    replace("tea-1/manifest.json", read("tea-1/manifest.json")[:-5])
    with pytest.raises(ArtifactError, match="is not the one that was published: it is truncated"):
        download("tea-1", digest, here)


def test_a_half_written_artifact_is_not_there_yet(saved, here, monkeypatch):
    """The training worker was killed while it published."""
    folder, digest = saved()
    put = artifact_storage._put

    def killed(name, path):
        if name.endswith("manifest.json"):
            raise KeyboardInterrupt
        put(name, path)

    monkeypatch.setattr(artifact_storage, "_put", killed)
    with pytest.raises(KeyboardInterrupt):
        upload(folder)
    with pytest.raises(ArtifactError, match="the storage holds no tea-1: it was removed, or never finished"):
        download("tea-1", digest, here)


def test_a_file_that_vanished_is_named(saved, here):
    folder, digest = saved()
    upload(folder)
    replace("tea-1/items.npy", b"")
    artifact_storage._storage().delete("tea-1/items.npy")
    with pytest.raises(ArtifactError, match="lacks a file of tea-1"):
        download("tea-1", digest, here)
    assert left_behind(here) == []


def test_an_artifact_of_another_version_is_refused_before_its_files_are_fetched(saved, here):
    folder, _digest = saved()
    manifest = json.loads((folder / "manifest.json").read_bytes()) | {"format": 99}
    text = json.dumps(manifest).encode()
    replace("tea-1/manifest.json", text)
    with pytest.raises(ArtifactError, match="tea-1 has artifact format 99, this version reads 1"):
        download("tea-1", sha256(text).hexdigest(), here)


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside"])
def test_a_manifest_that_names_files_elsewhere_is_refused(saved, here, name):
    """Even where its digest is right: who writes to Postgres does not write to the hosts' disks."""
    folder, _digest = saved()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"] = {"item_ids.json": "0" * 64, name: "0" * 64}
    text = json.dumps(manifest).encode()
    replace("tea-1/manifest.json", text)
    with pytest.raises(ArtifactError, match="names files outside of it"):
        download("tea-1", sha256(text).hexdigest(), here)
    assert not (here.parent.parent / "outside").exists()


def test_a_run_from_before_there_was_a_storage_is_explained(here):
    with pytest.raises(ArtifactError, match="published before ARTIFACTS_STORAGE was set; train anew"):
        download("tea-1", "", here)


def test_two_publishers_at_once_both_arrive(saved, here):
    both = [saved("tea-1"), saved("cup-1", [["cup", "pot"]] * 30)]
    with ThreadPoolExecutor(2) as hosts:
        list(hosts.map(upload, [folder for folder, _digest in both]))
    for folder, digest in both:
        download(folder.name, digest, here.with_name(folder.name))
        assert artifact.digest(here.with_name(folder.name)) == digest


def test_two_publishers_of_one_name_are_told_apart(saved, here):
    """Two shops in one place, whose databases both count their runs from 1."""
    folder, digest = saved()
    upload(folder)
    shutil.rmtree(folder)
    theirs, their_digest = saved(trails=[["cup", "pot"]] * 30)
    upload(theirs)
    with pytest.raises(
        ArtifactError, match="another shop writes to the same place; give each shop a location"
    ):
        download("tea-1", digest, here)
    download("tea-1", their_digest, here)


def test_two_fetches_of_one_host_at_once_are_one_artifact(saved, here):
    folder, digest = saved()
    upload(folder)
    with ThreadPoolExecutor(2) as processes:
        list(processes.map(lambda _: download("tea-1", digest, here), range(2)))
    assert artifact.verify(here)
    assert left_behind(here) == [here]


def test_a_full_disk_is_told_before_anything_is_fetched(saved, here, monkeypatch):
    folder, digest = saved()
    upload(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(OSError, match=r"tea-1 needs .* bytes in .*, and 10 are free"):
        download("tea-1", digest, here)
    assert left_behind(here) == []


def test_what_is_deleted_is_gone_and_deleting_again_is_no_error(saved):
    folder, _digest = saved()
    upload(folder)
    upload(saved("tea-10")[0])
    delete("tea-1")
    assert {name.split("/")[0] for name in names()} == {"tea-10"}
    delete("tea-1")


def test_a_publication_that_failed_in_between_is_made_good_by_the_next_try(saved, here, monkeypatch):
    folder, digest = saved()
    put, failures = artifact_storage._put, iter([True, True])

    def flaky(name, path):
        if name.endswith("manifest.json") and next(failures, False):
            raise StorageError("away")
        put(name, path)

    monkeypatch.setattr(artifact_storage, "_put", flaky)
    upload(folder)
    download("tea-1", digest, here)


class Renaming(FileSystemStorage):
    """A storage that gives files names of its own."""

    def get_available_name(self, name, max_length=None):
        return f"{name}.1"


def test_a_storage_that_renames_files_is_refused(saved, settings, tmp_path):
    entry = {"BACKEND": f"{__name__}.Renaming", "OPTIONS": {"location": str(tmp_path / "renaming")}}
    share_models_through(settings, entry)
    with pytest.raises(StorageError, match=r"calls .*: it must keep names"):
        upload(saved()[0])
    assert names() == set()


def test_a_storage_that_is_away_is_named(saved, here, settings, tmp_path):
    (tmp_path / "file").write_text("no folder")
    entry = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path / "file" / "below")},
    }
    share_models_through(settings, entry)
    for call in (
        lambda: upload(saved()[0]),
        lambda: download("tea-1", "0" * 64, here),
        lambda: delete("tea-1"),
        artifact_storage.check_writable,
    ):
        with pytest.raises(StorageError, match=r"STORAGES\['models'\] can't .*: .*Not a directory"):
            call()
