"""Artifacts: fitted recommenders as folders of plain arrays, written atomically, checked when opened."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

import django_sessrec
from django_sessrec.recsys import mapped_items
from django_sessrec.recsys.cold_start import ColdStart
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.recommender import Recommender, import_object

FORMAT = 1
MANIFEST = "manifest.json"
ITEM_IDS = "item_ids.json"
Fingerprint = frozenset[tuple[str, int, int, int]]
KINDS = {
    "popularity": "django_sessrec.recsys.popularity.PopularityRecommender",
    "itemknn": "django_sessrec.recsys.itemknn.ItemKNNRecommender",
    "bought_together": "django_sessrec.recsys.bought_together.BoughtTogetherRecommender",
    "neighbours": "django_sessrec.recsys.neighbours.NeighboursRecommender",
    "exported": "django_sessrec.recsys.onnx_recommender.OnnxRecommender",
    "ranked": "django_sessrec.recsys.ranked.RankedRecommender",
    "blend": "django_sessrec.recsys.blend.BlendRecommender",
}
"""Kind in the manifest -> the class of this package that opens it, imported when first needed."""

DAMAGED = (OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, BadZipFile)
"""What the reading of an .npz file raises that is missing, empty, truncated, of changed bytes or of another
version. Files beside the artifacts have no sha256: what a power loss has left of them is found by reading."""


class ArtifactError(Exception):
    """The folder is not an artifact that this version can open unchanged; the message says why."""


def save(
    recommender: Recommender,
    folder: Path,
    *,
    card: Mapping[str, Any],
    intents: Intents | None = None,
    cold_start: ColdStart | None = None,
) -> None:
    """Write `recommender` to the new `folder`, which appears complete or not at all.

    card: JSON-able facts about the training (window, figures), kept in the manifest for people.
    intents: likeness of the recommender's items, by its rows, for lists that serve every intent.
    cold_start: item embeddings of products that the recommender does not know, among those of `intents`.
    Raises FileExistsError when `folder` exists: an artifact is never changed, save beside it.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; an artifact is never overwritten, save to a new folder")
    make_home(folder.parent)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        parameters = recommender.save(unfinished)
        beside = {
            name: each.save(unfinished)
            for name, each in (("intents", intents), ("cold_start", cold_start))
            if each is not None
        }
        ids = json.dumps(recommender.index.ids[1:], ensure_ascii=False, indent=0)
        (unfinished / ITEM_IDS).write_text(ids, encoding="utf-8")
        if len(recommender.index) > mapped_items.MAPPED_FROM:
            mapped_items.save_mapped(recommender.index, unfinished)
        manifest = {
            "format": FORMAT,
            "kind": recommender.kind,
            "package_version": django_sessrec.__version__,
            "parameters": dict(parameters),
            **beside,
            "files": {name: _sha256(unfinished / name) for name in sorted(_files(unfinished))},
            "card": dict(card),
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=2, allow_nan=False)
        (unfinished / MANIFEST).write_text(text, encoding="utf-8")
        move_into_place(unfinished, folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def load(folder: Path, own: type[Recommender] | None = None) -> Recommender:
    """Open an artifact after checking every byte; ArtifactError says what is wrong with a bad one.

    own: a class that opens artifacts of its `kind`, asked before those of this package.
    """
    manifest = verify(folder)
    try:
        recommender = class_of(manifest.get("kind"), own).load(folder, _index(folder), manifest["parameters"])
        if len(recommender.index) > 1:  # one list of one click: what can't make it would fail on every page
            recommender.top(np.array([1], np.int32), 1)
    except MemoryError:  # says nothing of the artifact
        raise
    except Exception as error:  # a class of the shop's own may raise anything, and so may another version's
        kind = f"{folder} does not open as {manifest.get('kind')!r}"
        raise ArtifactError(f"{kind}: {_reason(error)}{_written_by(manifest)}") from error
    return recommender


def verify(folder: Path) -> dict[str, Any]:
    """The manifest of an artifact, each of whose bytes is as it was saved; ArtifactError otherwise."""
    manifest = read_manifest(folder)
    for name, sha256 in manifest["files"].items():
        try:
            found = _sha256(folder / name)
        except OSError as error:
            raise ArtifactError(f"{folder / name} can't be read: {error.strerror}") from error
        if found != sha256:
            raise ArtifactError(f"{folder / name} is truncated or was changed: its sha256 is not {sha256}")
    return manifest


def digest(folder: Path) -> str:
    """The sha256 of the manifest, which names that of every file: one value for the whole artifact."""
    try:
        return _sha256(folder / MANIFEST)
    except OSError as error:
        raise ArtifactError(f"{folder} holds no readable {MANIFEST}: {error.strerror}") from error


def make_home(folder: Path) -> None:
    """Make the folder and those above it, open to web processes of another user whatever the umask."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        each.chmod(0o755)


def move_into_place(unfinished: Path, folder: Path) -> None:
    """Let the files of `unfinished` appear as `folder`, all at once: readable to others, and on the disk."""
    _make_readable_and_durable(unfinished)
    unfinished.rename(folder)
    _fsync(folder.parent)


def load_intents(folder: Path, index: ItemIndex) -> Intents | None:
    """The likeness of the items of an artifact that `load` has opened and checked; None where it has none."""
    parameters = read_manifest(folder).get("intents")
    try:
        return None if parameters is None else Intents.load(folder, len(index), parameters)
    except (LookupError, OSError, TypeError, ValueError) as error:
        raise ArtifactError(f"the intents of {folder} do not open: {_reason(error)}") from error


def load_cold_start(folder: Path, index: ItemIndex) -> ColdStart | None:
    """Item embeddings from content, of an artifact that `load` has checked; None where it has none."""
    parameters = read_manifest(folder).get("cold_start")
    try:
        return None if parameters is None else ColdStart.load(folder, len(index), parameters)
    except (LookupError, OSError, TypeError, ValueError) as error:
        raise ArtifactError(f"the cold start of {folder} does not open: {_reason(error)}") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, once its shape and the folder's list of files are found in order."""
    try:
        text = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{folder} holds no readable {MANIFEST}: {error.strerror}") from error
    manifest = parse_manifest(text, str(folder))
    # Also refuses "../x": no such name is ever present.
    if listed_apart := {*manifest["files"], MANIFEST} ^ _files(folder):
        raise ArtifactError(f"{folder} and its manifest disagree on these files: {sorted(listed_apart)}")
    return manifest


def parse_manifest(text: bytes, where: str) -> dict[str, Any]:
    """The manifest of the artifact at `where`, found in order; its files are not looked at."""
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise ArtifactError(f"{where}/{MANIFEST} is truncated or not JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise ArtifactError(f"{where}/{MANIFEST} is no manifest; train anew")
    if (found := manifest.get("format")) != FORMAT:
        remedy = "train anew"
        if isinstance(found, int) and found > FORMAT:
            remedy = "upgrade django_sessrec here, or train anew with this version"
        raise ArtifactError(
            f"{where} has artifact format {found!r}, this version reads {FORMAT}"
            f"{_written_by(manifest)}; {remedy}"
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not isinstance(manifest.get("parameters"), dict):
        raise ArtifactError(f"{where}/{MANIFEST} must name its files and parameters; train anew")
    if ITEM_IDS not in files:
        raise ArtifactError(f"{where} holds no {ITEM_IDS}; train anew")
    return manifest


def class_of(kind: object, own: type[Recommender] | None = None) -> type[Recommender]:
    """The class that opens what it saved under this kind."""
    if own is not None and kind == own.kind:
        return own
    path = KINDS.get(kind) if isinstance(kind, str) else None
    if path is None:
        known = ", ".join(KINDS)
        own_class = "a class of your own where the model's RECOMMENDER names it"
        raise ValueError(f"unknown kind {kind!r}; known are {known}, and {own_class}")
    found: type[Recommender] = import_object(path)
    return found


def fingerprint(folder: Path) -> Fingerprint:
    """Names, sizes, times and inodes of the folder's files, which differ once any of them is changed."""
    found = ((path, path.lstat()) for path in folder.rglob("*"))
    return frozenset((str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino) for path, stat in found)


def _reason(error: Exception) -> str:
    """The error's message; with its class, unless such errors have a message that speaks for itself."""
    return (
        str(error) if type(error) in {OSError, TypeError, ValueError} else f"{type(error).__name__}: {error}"
    )


def _written_by(manifest: Mapping[str, Any]) -> str:
    version = manifest.get("package_version")
    this = django_sessrec.__version__
    return "" if version == this else f" (django_sessrec {version} wrote it, this is {this})"


def _index(folder: Path) -> ItemIndex:
    if (folder / mapped_items.TEXT).exists():
        return mapped_items.MappedItemIndex.load(folder)
    return ItemIndex(json.loads((folder / ITEM_IDS).read_text(encoding="utf-8")))


def _files(folder: Path) -> set[str]:
    """Paths below the folder of all plain files in it."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix() for path in found}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_readable_and_durable(folder: Path) -> None:
    """Modes for a web process of another user, whatever the umask; bytes on disk before the rename."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
        _fsync(path)
    folder.chmod(0o755)
    _fsync(folder)


def _fsync(path: Path) -> None:
    if os.name == "nt":  # Windows neither opens folders nor syncs read-only handles
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
