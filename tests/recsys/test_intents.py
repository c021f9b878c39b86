import numpy as np
import pytest

from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop
from tests.recsys.strategies import log_of

TEA, CUPS = [1, 2, 3, 4], [5, 6, 7, 8]


@pytest.fixture
def intents():
    return Intents.of(log_of([TEA, TEA[::-1], [2, 4, 1], CUPS, CUPS[::-1], [6, 8, 5]] * 5))


@pytest.mark.parametrize(
    ("session", "count"),
    [([], 1), ([1], 1), ([1, 1, 1], 1), ([1, 3], 1), ([1, 5], 2), ([1, 5, 2, 6, 3], 2)],
)
def test_going_back_to_an_earlier_intent_is_not_a_new_one(intents, session, count):
    assert intents.count(np.array(session, np.int32)) == count


@pytest.mark.parametrize("seed", range(3))
def test_planted_intents_are_recovered_in_sessions_that_come_later(seed):
    """Nine in ten sessions of three clicks or more are told right, those of one intent and those of two."""
    shop = synthetic_shop(sessions=6_000, seed=seed)
    earlier, later = shop.log.split_last(0.2)
    labels = np.zeros(len(later), np.int32)
    cases = Cases.from_prefixes(later.index, later.items, later.offsets[:-1], later.offsets[1:], labels)
    clicked = np.array([len(set(shop.group_of[later[session]])) for session in range(len(later))])
    found = Intents.of(earlier).counts(cases)
    for planted in (1, 2):
        told = found[(clicked == planted) & (later.lengths >= 3)] == planted
        assert len(told) > 100
        assert told.mean() > 0.9


def test_without_two_items_in_a_session_every_item_is_an_intent_of_its_own():
    intents = Intents.of(log_of([[1], [2, 2], [3]]))
    assert intents.count(np.array([1, 2, 3], np.int32)) == 3


def test_an_empty_log_knows_no_likeness():
    empty = SessionLog.from_rows([], np.zeros(0, np.int32), [], ItemIndex(["a", "b"]))
    assert Intents.of(empty).count(np.array([1, 2], np.int32)) == 2


def test_of_an_endless_session_the_latest_clicks_are_looked_at(intents):
    assert intents.count(np.array([1, 5] * 25_000, np.int32)) == 2
    assert intents.count(np.array([1, 5] * 25_000 + [2, 3] * 25, np.int32)) == 1


def clicks(*rows):
    return np.array(rows, np.int32)


@pytest.mark.parametrize(
    ("session", "stretches"),
    [
        ([], []),
        ([1], [[1]]),
        ([1, 3, 1], [[1, 3, 1]]),
        ([1, 2, 5], [[5], [1, 2]]),
        ([1, 2, 5, 6, 3], [[1, 2, 3], [5, 6]]),
    ],
)
def test_a_session_is_split_into_its_intents_the_one_on_screen_first(intents, session, stretches):
    assert [each.rows.tolist() for each in intents.split(clicks(*session))] == stretches


def test_an_intents_share_grows_with_its_clicks_and_fades_with_those_after_it(intents):
    def share_of_tea(*session):
        return next(each.share for each in intents.split(clicks(*session)) if each.rows[0] in TEA)

    assert share_of_tea(1, 5) < share_of_tea(5, 1)
    assert share_of_tea(1, 5, 6) < share_of_tea(1, 2, 5, 6)
    assert share_of_tea(1, 2, 3, 5, 6, 7) > share_of_tea(1, 2, 3, *[5, 6, 7] * 4)
    assert sum(each.share for each in intents.split(clicks(1, 5, 2, 6, 6))) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_sessions_of_two_planted_intents_are_split_into_these(seed):
    shop = synthetic_shop(sessions=6_000, seed=seed)
    earlier, later = shop.log.split_last(0.2)
    intents = Intents.of(earlier)
    whole = pure = 0
    for session in map(later.__getitem__, range(len(later))):
        if len(set(shop.group_of[session])) == 2 and len(session) >= 3:
            whole += 1
            split = intents.split(session)
            pure += len(split) == 2 and all(len(set(shop.group_of[each.rows])) == 1 for each in split)
    assert whole > 100
    assert pure / whole > 0.85


def test_saving_and_loading_keep_what_is_alike(intents, tmp_path):
    loaded = Intents.load(tmp_path, 9, intents.save(tmp_path))
    for session in (clicks(1, 2, 5), clicks(1, 5, 2, 6, 3), clicks(8)):
        assert loaded.count(session) == intents.count(session)
        for one, other in zip(loaded.split(session), intents.split(session), strict=True):
            np.testing.assert_array_equal(one.rows, other.rows)
    with pytest.raises(ValueError, match="do not fit 4 rows"):
        Intents.load(tmp_path, 4, {"threshold": 0.1})


def test_a_shop_where_nothing_is_alike_can_be_saved(tmp_path):
    loaded = Intents.load(tmp_path, 9, Intents.of(log_of([[1], [2, 2], [3]])).save(tmp_path))
    assert len(loaded.split(clicks(1, 2, 3))) == 3


def test_items_that_the_log_did_not_have_are_like_none(intents):
    index = ItemIndex([f"item-{row}" for row in range(1, 9)])
    other = ItemIndex(["item-5", "new", "item-1", "item-2"])
    assert intents.reindexed(index, index) is intents
    moved = intents.reindexed(index, other)
    assert [each.rows.tolist() for each in moved.split(clicks(3, 4, 1, 2))] == [[2], [1], [3, 4]]
