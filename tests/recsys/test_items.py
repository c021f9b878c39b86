import pytest

from django_sessrec.recsys.items import ItemIndex


def test_ids_and_rows_lead_to_each_other():
    index = ItemIndex(["tea", "cup", "7"])
    assert len(index) == 4
    assert index.row("cup") == 2
    assert index.item_ids([3, 1]) == ["7", "tea"]
    assert index.rows(["7", "unknown", "", "tea"]).tolist() == [3, 1]
    assert "cup" in index
    assert "" not in index
    assert 7 not in index


@pytest.mark.parametrize(("ids", "reason"), [(["tea", "tea"], "unique"), (["tea", ""], "empty")])
def test_ids_that_name_no_single_item_are_refused(ids, reason):
    with pytest.raises(ValueError, match=reason):
        ItemIndex(ids)


def test_rows_in_another_index_are_zero_where_it_lacks_the_item():
    index, other = ItemIndex(["tea", "cup", "pot"]), ItemIndex(["pot", "tea"])
    assert index.rows_in(other).tolist() == [0, 2, 0, 1]
    assert other.rows_in(index).tolist() == [0, 3, 1]
    assert index.rows_in(ItemIndex([])).tolist() == [0, 0, 0, 0]
