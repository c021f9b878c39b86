"""Artifacts in one of Django's storages: published by the training worker, fetched and verified by each host.

A name holds an artifact as soon as it holds its manifest, which is written last. The run's row in Postgres
keeps the manifest's sha256, and the manifest that of each file: what a storage holds is trusted no further.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final
from uuid import uuid4

from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages

from django_sessrec.conf import sessrec_settings
from django_sessrec.recsys.artifact import MANIFEST, ArtifactError, make_home, move_into_place, parse_manifest

UNFINISHED: Final = ".fetching."  # how a folder's name begins while it is fetched
CHUNK: Final = 1 << 20
PAUSES: Final = (1.0, 5.0, 25.0)  # seconds before each further try to publish: a training run is at stake


class StorageError(Exception):
    """The storage of artifacts can't be reached, or refuses; the message names it and says why."""


def configured() -> bool:
    """Whether hosts share models through a storage, and not through a common folder."""
    return sessrec_settings.ARTIFACTS_STORAGE is not None


def check_writable() -> None:
    """Write a small file and remove it; StorageError where that fails."""
    with _explained("can't be written"):
        storage = _storage()
        storage.delete(storage.save(f".probe-{uuid4().hex}", ContentFile(b"")))


def upload(folder: Path) -> None:
    """Publish the artifact in `folder` under the folder's name, the manifest last."""
    manifest = parse_manifest((folder / MANIFEST).read_bytes(), str(folder))
    for file in (*sorted(manifest["files"]), MANIFEST):
        _retried(partial(_put, f"{folder.name}/{file}", folder / file))


def download(name: str, sha256: str, folder: Path) -> None:
    """Fetch an artifact into the new `folder`, which appears complete and verified, or not at all.

    sha256: of the manifest, as the run's row has it
    Raises ArtifactError where the storage does not hold what was published, StorageError, and OSError of the
    own disk.
    """
    text = _manifest(name, sha256)
    files = parse_manifest(text, name)["files"]
    if outside := [file for file in files if PurePosixPath(file).is_absolute() or ".." in file.split("/")]:
        raise ArtifactError(f"{name} names files outside of it: {outside}")
    make_home(folder.parent)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{folder.name}.", dir=folder.parent))
    try:
        _check_space(name, files, folder.parent)
        for file, file_sha256 in files.items():
            _get(name, file, unfinished, file_sha256)
        (unfinished / MANIFEST).write_bytes(text)
        try:
            move_into_place(unfinished, folder)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            shutil.rmtree(unfinished, ignore_errors=True)  # another process of this host was faster
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def manifest_of(name: str, sha256: str) -> dict[str, Any]:
    """The manifest of a published artifact; raises as `download` does."""
    return parse_manifest(_manifest(name, sha256), name)


def delete(name: str) -> None:
    """Remove what the storage has under this name, the manifest first; nothing there is no error."""
    with _explained(f"can't remove {name}"):
        storage = _storage()
        storage.delete(f"{name}/{MANIFEST}")
        _delete_folder(storage, name)


def _delete_folder(storage: Storage, name: str) -> None:
    try:
        folders, files = storage.listdir(name)
    except FileNotFoundError:
        return
    for file in files:
        storage.delete(f"{name}/{file}")
    for folder in folders:
        _delete_folder(storage, f"{name}/{folder}")
    storage.delete(name)  # a folder, where the storage has such a thing


def _storage() -> Storage:
    return storages[sessrec_settings.ARTIFACTS_STORAGE]  # type: ignore[index]


def _name() -> str:
    return f"STORAGES[{sessrec_settings.ARTIFACTS_STORAGE!r}]"


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn whatever the storage's client raises into a StorageError."""
    try:
        yield
    except (ArtifactError, StorageError):
        raise
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        raise StorageError(f"{_name()} {what}: {reason}") from error


def _retried(verb: Callable[[], None]) -> None:
    for pause in PAUSES:
        try:
            return verb()
        except StorageError:
            time.sleep(pause)
    return verb()


def _put(name: str, path: Path) -> None:
    with _explained(f"can't take {name}"), path.open("rb") as file:
        storage = _storage()
        storage.delete(name)  # most storages would write a second file beside one that is there
        if (written := storage.save(name, File(file))) != name:
            storage.delete(written)
            raise StorageError(f"{_name()} calls {name} {written}: it must keep names")
        size = path.stat().st_size
        if (stored := storage.size(name)) != size:
            raise StorageError(f"{_name()} has {stored:,} bytes of the {size:,} of {name}")


def _manifest(name: str, sha256: str) -> bytes:
    if not sha256:
        raise ArtifactError(f"{name} was removed, or published before ARTIFACTS_STORAGE was set; train anew")
    with _explained(f"can't read {name}"):
        try:
            with _storage().open(f"{name}/{MANIFEST}", "rb") as file:
                text = bytes(file.read())
        except FileNotFoundError as error:
            raise ArtifactError(f"the storage holds no {name}: it was removed, or never finished") from error
    if hashlib.sha256(text).hexdigest() != sha256:
        raise ArtifactError(
            f"{name}/{MANIFEST} in the storage is not the one that was published: it is truncated, or "
            "another shop writes to the same place; give each shop a location of its own"
        )
    return text


def _get(name: str, file: str, folder: Path, sha256: str) -> None:
    """Bring one file, hashed on its way."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256()
    with path.open("wb") as out:
        for chunk in _chunks(name, file):
            found.update(chunk)
            out.write(chunk)
    if found.hexdigest() != sha256:
        raise ArtifactError(
            f"{name}/{file} in the storage is truncated or was changed: its sha256 is not {sha256}"
        )


def _chunks(name: str, file: str) -> Iterator[bytes]:
    """What the storage has of the file; only its own errors are explained, not those of the disk."""
    with _explained(f"can't read {name}/{file}"):
        try:
            source = _storage().open(f"{name}/{file}", "rb")
        except FileNotFoundError as error:
            raise ArtifactError(f"the storage holds no {name}/{file}; train anew") from error
    with source:
        while True:
            with _explained(f"can't read {name}/{file}"):
                chunk = source.read(CHUNK)
            if not chunk:
                return
            yield chunk


def _check_space(name: str, files: dict[str, str], home: Path) -> None:
    """Refuse at once what the disk can't hold, and not after gigabytes."""
    with _explained(f"can't tell the size of {name}"):
        try:
            needed = sum(_storage().size(f"{name}/{file}") for file in files)
        except FileNotFoundError as error:
            raise ArtifactError(f"the storage lacks a file of {name}; train anew") from error
    free = shutil.disk_usage(home).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{name} needs {needed:,} bytes in {home}, and {free:,} are free")
