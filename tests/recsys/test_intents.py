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
