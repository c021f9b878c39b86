"""Storages that hosts share models through: a folder, and a bucket of moto's S3 server."""

from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import storages

ALIAS = "models"
BUCKET = "shop-models"


def folder_storage(location: Path, **options: Any) -> dict[str, Any]:
    """An entry of STORAGES."""
    return {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(location), **options},
    }


def s3_storage(url: str, location: str) -> dict[str, Any]:
    """An entry of STORAGES: a part of the bucket, on the server at `url`."""
    options = {
        "bucket_name": BUCKET,
        "location": location,
        "endpoint_url": url,
        "access_key": "test",
        "secret_key": "test",
        "region_name": "us-east-1",
        "default_acl": "private",
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


def share_models_through(settings, entry: dict[str, Any]) -> None:
    settings.STORAGES = settings.STORAGES | {ALIAS: entry}
    settings.SESSREC = settings.SESSREC | {"ARTIFACTS_STORAGE": ALIAS}


def replace(name: str, content: bytes) -> None:
    """Write a file of the storage anew, as a stranger with access would."""
    storages[ALIAS].delete(name)
    assert storages[ALIAS].save(name, ContentFile(content)) == name


def read(name: str) -> bytes:
    with storages[ALIAS].open(name, "rb") as file:
        return file.read()


def names(folder: str = "") -> set[str]:
    """All files of the storage below a folder."""
    try:
        folders, files = storages[ALIAS].listdir(folder)
    except FileNotFoundError:
        return set()
    path = f"{folder}/" if folder else ""
    below = (names(f"{path}{each}") for each in folders if each)
    return {f"{path}{file}" for file in files}.union(*below)
