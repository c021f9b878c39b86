"""Where models are kept: one place that the public does not see."""

from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import FileSystemStorage

from tests.support.checks import GOOD, findings


@pytest.mark.parametrize(
    ("artifacts", "elsewhere", "told"),
    [
        ("/srv/artifacts", {}, None),
        ("artifacts", {}, "sessrec.W023"),
        (None, {}, "sessrec.W023"),
        (None, {"BASE_DIR": "/srv/shop"}, None),
        (None, {"BASE_DIR": "."}, "sessrec.W023"),
        ("/srv/media/artifacts", {"MEDIA_ROOT": "/srv/media/"}, "sessrec.E024"),
        ("/srv/static/../static/a", {"STATIC_ROOT": Path("/srv/static")}, "sessrec.E024"),
        ("/srv/media-artifacts", {"MEDIA_ROOT": "/srv/media"}, None),
        (7, {}, "sessrec.E003"),
    ],
)
def test_the_folder_of_models_is_one_place_and_not_public(artifacts, elsewhere, told):
    found = findings(SESSREC=GOOD | {"ARTIFACTS": artifacts}, **elsewhere)
    assert {id_ for id_ in ("sessrec.W023", "sessrec.E024", "sessrec.E003") if id_ in found} == {told} - {
        None
    }


MODELS_IN_A_FOLDER = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {"location": "/srv/shared"},
}


class PublicBucket(FileSystemStorage):
    default_acl = "public-read"


def storage_found(alias="models", **changes):
    """The findings about the storage of models, where STORAGES has this one beside Django's two."""
    storages = settings.STORAGES | {"models": MODELS_IN_A_FOLDER | changes}
    sessrec = GOOD | {"ARTIFACTS_STORAGE": alias}
    found = findings(SESSREC=sessrec, STORAGES=storages, MEDIA_ROOT="/srv/media", STATIC_ROOT="/srv/static")
    return {
        id_: each for id_, each in found.items() if id_ in {"sessrec.E041", "sessrec.E042", "sessrec.E003"}
    }


def test_a_storage_of_models_of_their_own_is_right():
    assert storage_found() == {}


def test_an_unknown_storage_of_models_is_told_with_the_known_ones():
    found = storage_found("modles")
    assert set(found) == {"sessrec.E041"}
    assert "models" in found["sessrec.E041"].hint


@pytest.mark.parametrize(
    "changes", [{"BACKEND": "nowhere.Storage"}, {"OPTIONS": {"locatoin": "/srv"}}], ids=["class", "option"]
)
def test_a_storage_of_models_that_cannot_be_made_is_told(changes):
    assert set(storage_found(**changes)) == {"sessrec.E041"}


@pytest.mark.parametrize(
    ("alias", "changes", "reason"),
    [
        ("default", {}, "served to everybody"),
        ("staticfiles", {}, "served to everybody"),
        ("models", {"OPTIONS": {"location": "/srv/media/models"}}, "served to everybody"),
        ("models", {"OPTIONS": {"location": "/srv/static"}}, "served to everybody"),
        ("models", {"OPTIONS": {"location": "/srv/artifacts"}}, "the folder ARTIFACTS itself"),
        ("models", {"BACKEND": f"{__name__}.PublicBucket"}, "public-read"),
    ],
)
def test_models_go_into_no_storage_that_is_public_or_their_own_folder(alias, changes, reason):
    found = storage_found(alias, **changes)
    assert set(found) == {"sessrec.E042"}
    assert reason in found["sessrec.E042"].msg


def test_a_storage_of_a_wrong_type_is_one_finding():
    assert set(storage_found(7)) == {"sessrec.E003"}
