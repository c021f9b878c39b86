import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import django_sessrec
from django_sessrec.recsys import artifact
from django_sessrec.recsys.artifact import ArtifactError
from django_sessrec.recsys.itemknn import ItemKNN
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.popularity import Popularity, PopularityRecommender
from django_sessrec.recsys.synthetic import synthetic_shop

LOG = synthetic_shop(items=40, groups=4, sessions=200).log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    artifact.save(Neighbours().fit(LOG), tmp_path / "model", card={"window": "2026-10", "café": "déjà vu"})
    return tmp_path / "model"


def rewrite_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text()) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_manifest_says_what_the_folder_holds(folder):
    manifest = artifact.read_manifest(folder)
    assert manifest["kind"] == "neighbours"
    assert manifest["package_version"] == django_sessrec.__version__
    assert manifest["parameters"]["self_weight"] == 1.5
    assert manifest["card"] == {"window": "2026-10", "café": "déjà vu"}
    assert {*manifest["files"], "manifest.json"} == {path.name for path in folder.iterdir()}


def test_another_user_can_read_it_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        artifact.save(ItemKNN().fit(LOG), tmp_path / "models" / "model", card={})
    finally:
        os.umask(before)
    for folder in (tmp_path / "models", tmp_path / "models" / "model"):
        assert folder.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_the_arrays_are_shared_between_processes_and_read_only(folder):
    loaded = artifact.load(folder)
    for array in (loaded.postings.postings, loaded.postings.items, loaded.popularity.clicks):
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable


def test_a_save_that_fails_leaves_nothing(tmp_path):
    class Broken(PopularityRecommender):
        def save(self, folder: Path) -> dict[str, object]:
            super().save(folder)
            raise OSError("disk full")

    fitted = Popularity().fit(LOG)
    with pytest.raises(OSError, match="disk full"):
        artifact.save(Broken(fitted.index, fitted.clicks), tmp_path / "model", card={})
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_is_not_json_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        artifact.save(Popularity().fit(LOG), tmp_path / "model", card={"hr": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_an_artifact_is_never_overwritten(folder):
    with pytest.raises(FileExistsError, match="never overwritten"):
        artifact.save(Popularity().fit(LOG), folder, card={})
    assert artifact.load(folder).kind == "neighbours"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="nowhere"):
        artifact.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["items.npy", "item_ids.json", "popularity.npy"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        artifact.load(folder)


@pytest.mark.parametrize("name", ["items.npy", "item_ids.json", "postings.npy"])
def test_a_truncated_file_is_refused(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=f"{name} is truncated or was changed"):
        artifact.load(folder)


def test_one_changed_bit_is_refused(folder):
    content = bytearray((folder / "postings.npy").read_bytes())
    content[-1] ^= 1
    (folder / "postings.npy").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"postings\.npy"):
        artifact.load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', "\x00\xff"])
def test_a_broken_manifest_is_refused(folder, text):
    (folder / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(ArtifactError, match="model"):
        artifact.load(folder)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_is_refused(folder, version):
    rewrite_manifest(folder, format=version)
    with pytest.raises(ArtifactError, match="format"):
        artifact.load(folder)


@pytest.mark.parametrize("kind", ["os.system", "neighbour", "", None, 3, ["popularity"]])
def test_an_unknown_kind_is_refused(folder, kind):
    rewrite_manifest(folder, kind=kind)
    with pytest.raises(ArtifactError, match="unknown kind"):
        artifact.load(folder)


@pytest.mark.parametrize("name", ["../secret.npy", "/etc/hostname", "sub/items.npy", ".."])
def test_a_manifest_that_names_files_elsewhere_is_refused(folder, name):
    (folder.parent / "secret.npy").write_bytes(b"")
    files = artifact.read_manifest(folder)["files"]
    rewrite_manifest(folder, files=files | {name: "0" * 64})
    with pytest.raises(ArtifactError, match="disagree"):
        artifact.load(folder)


def test_a_link_out_of_the_folder_is_refused(folder):
    (folder / "items.npy").rename(folder.parent / "items.npy")
    (folder / "items.npy").symlink_to(folder.parent / "items.npy")
    with pytest.raises(ArtifactError, match=r"items\.npy"):
        artifact.load(folder)


def test_a_fingerprint_tells_a_change_and_survives_a_link_to_nowhere(folder):
    before = artifact.fingerprint(folder)
    assert artifact.fingerprint(folder) == before
    (folder / "extra").symlink_to(folder / "nowhere")
    assert artifact.fingerprint(folder) != before
    assert artifact.fingerprint(folder.parent / "gone") == frozenset()


def test_a_pickle_in_place_of_an_array_is_never_opened(folder):
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(folder.parent / "exploded"),)

    (folder / "items.npy").write_bytes(pickle.dumps(Bomb()))
    rewrite_manifest(folder, files=checksums(folder))
    with pytest.raises(ArtifactError, match="does not open"):
        artifact.load(folder)
    assert not (folder.parent / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("items.npy", np.full(3, 999, np.int32)),
        ("items.npy", np.zeros(0, np.float64)),
        ("postings.npy", np.full((4, 2), 10**6, np.int32)),
        ("posting_offsets.npy", np.arange(42)[::-1].copy()),
        ("offsets.npy", np.array([-5, 10])),
        ("popularity.npy", np.zeros(7, np.float32)),
    ],
)
def test_arrays_that_would_send_the_kernel_astray_are_refused(folder, name, array):
    np.save(folder / name, array)
    rewrite_manifest(folder, files=checksums(folder))
    with pytest.raises(ArtifactError, match="does not open as 'neighbours'"):
        artifact.load(folder)


def test_parameters_of_another_version_are_refused(folder):
    rewrite_manifest(folder, parameters={"self_wait": 2})
    with pytest.raises(ArtifactError, match="self_wait"):
        artifact.load(folder)


def checksums(folder: Path) -> dict[str, str]:
    return {path.name: artifact._sha256(path) for path in folder.iterdir() if path.name != artifact.MANIFEST}
