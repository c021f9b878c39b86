"""An index of mapped ids answers as one of Python's text does."""

from pathlib import Path

import numpy as np
import pytest

from django_sessrec.recsys import artifact, mapped_items
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.mapped_items import MappedItemIndex, save_mapped
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.synthetic import synthetic_shop

IDS = ["tea", "cup", "ä", "日本", "a b", *map(str, range(2_000))]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[ItemIndex, MappedItemIndex]:
    index = ItemIndex(IDS)
    save_mapped(index, tmp_path)
    return index, MappedItemIndex.load(tmp_path)


def test_ids_and_rows_are_those_of_the_index(pair):
    index, mapped = pair
    assert len(mapped) == len(index)
    assert [*mapped.ids] == [*index.ids]
    assert mapped.ids[1:4] == ("tea", "cup", "ä")
    assert mapped.ids[-1] == "1999"
    asked = [*IDS, "unknown", "", "teapot", "half of a character: \ud83d"]
    assert mapped.rows(asked).tolist() == index.rows(asked).tolist()
    assert mapped.item_ids([2, 0, 4]) == ["cup", "", "日本"]
    assert mapped.row("ä") == 3
    assert "cup" in mapped
    assert "" not in mapped
    for missing in ("unknown", ""):
        with pytest.raises(KeyError):
            mapped.row(missing)
    with pytest.raises(IndexError):
        mapped.ids[len(IDS) + 1]


def test_indexes_of_the_same_ids_are_equal_and_rows_go_from_one_to_the_other(pair, tmp_path):
    index, mapped = pair
    other = ItemIndex(IDS[::-1])
    assert mapped == index == mapped == MappedItemIndex.load(tmp_path)
    assert mapped != other != mapped
    assert hash(mapped) == hash(index)
    assert mapped.rows_in(other).tolist() == index.rows_in(other).tolist()
    assert other.rows_in(mapped).tolist() == other.rows_in(index).tolist()


def test_an_index_without_items_is_empty(tmp_path):
    save_mapped(ItemIndex([]), tmp_path)
    mapped = MappedItemIndex.load(tmp_path)
    assert len(mapped) == 1
    assert mapped.rows(["tea"]).tolist() == []


def test_two_ids_of_one_hash_are_not_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped_items, "_hash", len)
    save_mapped(ItemIndex(["tea", "cup"]), tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("id_rows.npy", np.zeros(len(IDS), np.int32), "rows outside"),
        ("id_rows.npy", np.zeros(3, np.int32), "do not fit each other"),
        ("id_hashes.npy", np.zeros(len(IDS), np.int64), "do not fit each other"),
        ("id_starts.npy", np.arange(len(IDS) + 2)[::-1].copy(), "do not rise"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(pair, tmp_path, name, wrong, message):
    np.save(tmp_path / name, wrong)
    with pytest.raises(ValueError, match=message):
        MappedItemIndex.load(tmp_path)


def test_an_artifact_of_many_items_opens_them_mapped_and_recommends_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped_items, "MAPPED_FROM", 100)
    recommender = Popularity().fit(synthetic_shop().log)
    artifact.save(recommender, tmp_path / "model", card={})
    opened = artifact.load(tmp_path / "model")
    assert isinstance(opened.index, MappedItemIndex)
    assert opened.recommend(["item-3"], 5) == recommender.recommend(["item-3"], 5)
    artifact.save(opened, tmp_path / "again", card={})
    assert artifact.load(tmp_path / "again").index == recommender.index
