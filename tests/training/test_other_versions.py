"""Artifacts that this version can't open: what serves meanwhile, and what staff are told to do."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.utils import timezone

from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.operations.findings import Code, Level
from django_sessrec.operations.trained_models import trained_models
from django_sessrec.recommendations import get_recommendations
from django_sessrec.recsys import artifact
from django_sessrec.recsys.neighbours import NeighboursRecommender
from django_sessrec.serving import active_models
from django_sessrec.serving.active_models import active
from django_sessrec.training import promotion, schedule
from django_sessrec.training.pipeline import train

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh_process")]

NEWER_IR = b"\x08\x63\x3a\x03\x12\x01g\x42\x02\x10\x11"  # an ONNX file of IR version 99
NEWER_OPSET = b"\x08\x08\x3a\x03\x12\x01g\x42\x02\x10\x63"  # one of opset 99


class Renamed(NeighboursRecommender):
    """A shop's own class that has changed since its models were trained."""

    kind = "shops_own"

    @classmethod
    def load(cls, folder, index, parameters):
        return super().load(folder, index, parameters["of_neighbours"])


class Forgetful(NeighboursRecommender):
    """A shop's own class that opens what it saved, and no longer makes a list of it."""

    kind = "shops_own"

    def top(self, session, k, *, exclude=()):
        return self.weights_of_today[session]


def rewritten(folder: Path, **changes: object) -> None:
    """Change the manifest, and let it agree with the files that are there now."""
    path = folder / artifact.MANIFEST
    files = {
        each.name: artifact._sha256(each)
        for each in folder.iterdir()
        if each.is_file() and each.name != artifact.MANIFEST
    }
    manifest = json.loads(path.read_text()) | {"files": files} | changes
    path.write_text(json.dumps({name: value for name, value in manifest.items() if value is not None}))


def truncated(folder: Path) -> None:
    os.truncate(folder / "items.npy", 100)


def truncated_manifest(folder: Path) -> None:
    os.truncate(folder / artifact.MANIFEST, 100)


def of_a_network(content: bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in ("encoder.onnx", "weights.npz"):
            (folder / name).write_bytes(content)
        rows = len(np.load(folder / "popularity.npy"))
        np.save(folder / "items.npy", np.zeros((rows, 2), np.float32))
        rewritten(folder, kind="exported", parameters={"window": 20})

    return spoil


def of_the_shops(folder: Path) -> None:
    rewritten(folder, kind="shops_own")


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a newer format": (
        lambda folder: rewritten(folder, format=2, package_version="9.1"),
        "has artifact format 2, this version reads 1 (django_sessrec 9.1 wrote it, this is ",
    ),
    "an older format": (lambda folder: rewritten(folder, format=0), "has artifact format 0"),
    "no kind": (lambda folder: rewritten(folder, kind=None), "unknown kind None"),
    "a kind that is gone": (
        lambda folder: rewritten(folder, kind="matrix", package_version="0.1"),
        "unknown kind 'matrix'",
    ),
    "other parameters": (
        lambda folder: rewritten(folder, parameters={"self_wait": 2}, package_version="0.1"),
        "(django_sessrec 0.1 wrote it, this is ",
    ),
    "a newer ONNX": (of_a_network(NEWER_IR), "Unsupported model IR version: 99"),
    "a newer opset": (of_a_network(NEWER_OPSET), "upgrade it if the model was trained beside a newer one"),
    "truncated": (truncated, "items.npy is truncated or was changed"),
    "a truncated manifest": (truncated_manifest, "manifest.json is truncated or not JSON"),
    "intents of another size": (
        lambda folder: rewritten(folder, intents={"threshold": "much"}),
        "the intents of ",
    ),
    "a class of the shop's that changed": (of_the_shops, "KeyError: 'of_neighbours'"),
    "a class of the shop's that makes no list": (of_the_shops, "AttributeError: 'Forgetful' object has no"),
    "a class of the shop's that is gone": (of_the_shops, "can't be imported"),
}
OWN = {
    "a class of the shop's that changed": f"{__name__}.Renamed",
    "a class of the shop's that makes no list": f"{__name__}.Forgetful",
    "a class of the shop's that is gone": f"{__name__}.Gone",
}


@pytest.fixture(params=FAULTS)
def spoil(request, settings) -> Callable[[Path], str]:
    """Make an artifact one that this version can't open; returns what is then said of it."""
    change, said = FAULTS[request.param]

    def change_it(folder: Path) -> str:
        change(folder)
        if own := OWN.get(request.param):
            settings.SESSREC["MODELS"]["neighbours"]["RECOMMENDER"] = own
        return said

    return change_it


def test_each_is_told_with_its_remedy_and_the_run_before_goes_on(trails, promote, spoil, caplog):
    """Web process, doctor and Health page, promotion and rollback, the schedule."""
    before = promote(trails)
    assert active("neighbours").run_id == before.pk
    after = promote(trails, intents=True)
    said = spoil(after.folder)

    assert [active("neighbours").run_id for _look in range(3)] == [before.pk] * 3
    (record,) = caplog.records
    assert (
        f"run #{before.pk} stays in service: roll back in the admin, or run sessrec_train" in record.message
    )
    assert said in str(record.exc_info[1])

    (found,) = [each for each in trained_models() if each.code == Code.MODEL_UNREADABLE]
    assert (found.level, found.remedy) == (Level.FAIL, "Roll back in the admin, or train again.")
    assert said in found.message

    TrainingRun.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert schedule.due("neighbours") is schedule.Due.TRAINING


def test_where_staff_had_gone_back_to_it_the_remedy_is_a_newer_run(trails, promote):
    before, _after = promote(trails), promote(trails, intents=True)
    Promotion.objects.create(model="neighbours", run=before, promoted_by="ada")
    truncated(before.folder)
    (found,) = [each for each in trained_models() if each.code == Code.MODEL_UNREADABLE]
    assert found.remedy == "ada rolled back to it: promote a newer run, or run sessrec_train neighbours."


def test_none_is_promoted_or_gone_back_to(trails, promote, spoil):
    spoilt, serves = promote(trails, intents=True), promote(trails)
    said = spoil(spoilt.folder)
    for act in (
        lambda: promotion.promote(spoilt, "ada"),
        lambda: promotion.roll_back("neighbours", "ada"),
    ):
        with pytest.raises(promotion.PromotionError) as refused:
            act()
        assert said in str(refused.value)
        assert str(refused.value).endswith(". Choose another run, or train again.")
    assert Promotion.objects.active("neighbours") == serves


@pytest.fixture
def tried(monkeypatch) -> list[int]:
    """Keys of the runs whose artifacts were read, in order."""
    found: list[int] = []
    really = TrainingRun.open_to_serve
    monkeypatch.setattr(TrainingRun, "open_to_serve", lambda run: found.append(run.pk) or really(run))
    return found


def test_a_process_that_starts_with_one_falls_back_and_reads_it_once(
    trails, promote, spoil, products, caplog, tried
):
    run = promote(trails, intents=True)
    spoil(run.folder)
    for _page in range(3):
        assert get_recommendations(None, "product_page", item=products[0]).items
    assert tried == [run.pk]
    (record,) = [each for each in caplog.records if "could not open the artifact" in each.message]
    assert "the next model or the fallback fills the lists" in record.message


def test_one_is_read_again_when_it_is_repaired_and_after_a_while(trails, promote, tried, monkeypatch):
    run = promote(trails)
    whole = (run.folder / "items.npy").read_bytes()
    truncated(run.folder)
    assert [active("neighbours"), active("neighbours")] == [None, None]
    (run.folder / "items.npy").write_bytes(whole[:-1])
    assert active("neighbours") is None
    monkeypatch.setattr(active_models, "TRY_AGAIN_SECONDS", 0)
    assert active("neighbours") is None
    (run.folder / "items.npy").write_bytes(whole)
    assert active("neighbours").run_id == run.pk
    assert tried == [run.pk] * 4


def test_the_verdict_says_which_model_in_service_was_not_compared(visits, sessrec):
    first = train("popularity", trigger="command")
    rewritten(first.hold_out_folder, format=2)
    TrainingRun.objects.update(hold_out_sha256=artifact.digest(first.hold_out_folder))
    second = train("popularity", trigger="command")
    assert second.state == TrainingRun.State.PUBLISHED
    assert f"Not compared with {first}, which serves: its hold-out model does not open" in second.verdict
    assert "has artifact format 2" in second.verdict
