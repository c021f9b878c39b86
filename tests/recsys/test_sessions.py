import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.recsys import intents, popularity, sessions
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop
from tests.recsys.strategies import LOGS


def as_lists(log: SessionLog) -> list[list[str]]:
    return [log.index.item_ids(log[session]) for session in range(len(log))]


def test_loose_clicks_become_sessions_in_order_of_time():
    log = SessionLog.from_clicks(
        ["b", "a", "b", "a", "c"], ["tea", "cup", "pot", "mug", "tea"], [30, 20, 31, 10, 5]
    )
    assert as_lists(log) == [["tea"], ["mug", "cup"], ["tea", "pot"]]
    assert log.started.tolist() == [5, 10, 30]


def test_clicks_at_the_same_time_keep_their_order():
    log = SessionLog.from_clicks(["s"] * 4, ["d", "a", "c", "b"], [7, 7, 7, 7])
    assert as_lists(log) == [["d", "a", "c", "b"]]


@given(
    clicks=st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=40
    )
)
def test_grouping_equals_the_plain_way(clicks):
    sessions: dict[int, list[tuple[int, int, str]]] = {}
    for order, (session, item, time) in enumerate(clicks):
        sessions.setdefault(session, []).append((time, order, item))
    in_order = sorted(sessions, key=lambda session: (min(sessions[session])[0], session))
    expected = [[item for _, _, item in sorted(sessions[session])] for session in in_order]
    log = SessionLog.from_clicks(*(list(column) for column in zip(*clicks, strict=True)))
    assert as_lists(log) == expected


def test_no_clicks_make_an_empty_log():
    log = SessionLog.from_rows([], np.zeros(0, np.int32), [], ItemIndex(["tea"]))
    assert len(log) == 0
    assert log.n_clicks == 0


@given(log=LOGS, fraction=st.floats(0, 1))
def test_a_split_keeps_every_session_in_order(log, fraction):
    early, late = log.split_last(fraction)
    assert as_lists(early) + as_lists(late) == as_lists(log)
    assert len(late) == round(len(log) * fraction)


@given(log=LOGS)
def test_compacting_changes_rows_and_no_session(log):
    compacted = log.compacted()
    assert as_lists(compacted) == as_lists(log)
    assert len(compacted.index) - 1 == len(np.unique(log.items))


@given(log=LOGS)
def test_reindexing_drops_the_clicks_that_the_other_index_lacks(log):
    index = ItemIndex(["item-7", "item-2", "item-1"])
    expected = [[item for item in session if item in index] for session in as_lists(log)]
    assert as_lists(log.reindexed(index)) == [session for session in expected if session]


def test_arrays_that_disagree_are_refused():
    with pytest.raises(ValueError, match="same clicks"):
        SessionLog(ItemIndex(["tea"]), np.ones(2, np.int32), np.array([0, 3]), np.zeros(2, np.int64))


def test_weights_go_where_their_clicks_go():
    log = SessionLog.from_clicks(
        ["b", "a", "b", "a", "c"], ["tea", "cup", "pot", "mug", "tea"], [30, 20, 31, 10, 5], [1, 2, 3, 4, 5]
    )
    assert log.weights.tolist() == [5, 4, 2, 1, 3]
    without_tea = ItemIndex(["cup", "mug", "pot"])
    for each, expected in (
        (log.slice(1, 2), [4, 2]),
        (log.compacted(), [5, 4, 2, 1, 3]),
        (log.reindexed(without_tea), [4, 2, 3]),
        (SessionLog(log.index, **log.arrays()), [5, 4, 2, 1, 3]),
    ):
        assert each.weights.tolist() == expected
    with pytest.raises(ValueError, match="2 weights do not fit 1 clicks"):
        SessionLog(log.index, np.ones(1, np.int32), np.array([0, 1]), np.zeros(1, np.int64), np.ones(2))


@pytest.mark.parametrize("at_once", [1, 7, 1_000_000])
def test_ordered_clicks_become_the_same_log_however_many_sessions_are_moved_at_once(monkeypatch, at_once):
    """As do popularity, posting lists and intents, which are counted from parts of a log."""
    monkeypatch.setattr(sessions, "SESSIONS_AT_ONCE", at_once)
    monkeypatch.setattr(popularity, "AT_ONCE", at_once)
    monkeypatch.setattr(intents, "AT_ONCE", 40 * at_once)
    log = synthetic_shop(items=60, groups=6, sessions=300).log
    order = np.random.default_rng(0).permutation(len(log))
    clicks = np.concatenate([np.arange(log.offsets[s], log.offsets[s + 1]) for s in order])
    numbers = np.repeat(np.arange(len(log)), log.lengths[order])
    made = SessionLog.from_ordered(numbers, log.items[clicks], log.times[clicks], log.index)
    by_start = SessionLog.from_rows(numbers, log.items[clicks], log.times[clicks], log.index)
    for name in ("items", "offsets", "times"):
        assert (getattr(made, name) == getattr(by_start, name)).all()
    weights = 0.5 ** ((made.times.max() - made.times) / (7 * 86_400))
    expected = np.bincount(made.items, weights, minlength=len(log.index))
    np.testing.assert_allclose(popularity.Popularity().fit(made).clicks[1:], expected[1:], rtol=1e-6)
    found = intents.Intents.of(made)
    monkeypatch.undo()
    np.testing.assert_allclose(found.vectors, intents.Intents.of(made).vectors, atol=1e-6)
    assert found.threshold == intents.Intents.of(made).threshold


def test_a_log_of_all_items_of_its_index_is_compact_already():
    log = synthetic_shop(items=60, groups=6, sessions=300).log.compacted()
    assert log.compacted() is log
