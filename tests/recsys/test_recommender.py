import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.recsys.popularity import Popularity, PopularityRecommender
from django_sessrec.recsys.recommender import (
    Reason,
    Recommendation,
    best,
    import_object,
    is_refreshable,
    is_resumable,
    offer,
)
from django_sessrec.recsys.synthetic import synthetic_shop

SCORES = st.lists(
    st.sampled_from([-np.inf, 0.0, 0.5, 1.0, 2.0]) | st.floats(-10, 10, width=32), min_size=1, max_size=300
)


@given(scores=SCORES, k=st.integers(0, 320), excluded=st.sets(st.integers(0, 299)))
def test_best_is_what_sorting_everything_gives(scores, k, excluded):
    given_scores = np.array(scores, np.float32)
    exclude = [row for row in excluded if row < len(scores)]
    candidates = [row for row in range(1, len(scores)) if given_scores[row] > -np.inf and row not in exclude]
    expected = sorted(candidates, key=lambda row: (-given_scores[row], row))[:k]
    rows, values = best(given_scores, k, exclude=exclude)
    assert rows.tolist() == expected
    assert values.tolist() == given_scores[expected].tolist()
    assert given_scores.tolist() == np.array(scores, np.float32).tolist()


def test_best_of_many_equals_a_full_sort():
    scores = np.random.default_rng(3).normal(size=100_000).astype(np.float32)
    expected = np.argsort(-scores[1:], kind="stable")[:50] + 1
    assert best(scores, 50)[0].tolist() == expected.tolist()


class Recorder:
    """Popularity, which keeps what its fit was handed."""

    def fit(self, sessions, *, validation=None, progress=None):
        self.handed = {}
        return Popularity().fit(sessions)


class Resuming(Recorder):
    def fit(self, sessions, *, validation=None, progress=None, checkpoints=None):
        self.handed = {"checkpoints": checkpoints}
        return Popularity().fit(sessions)


class Refreshing(Recorder):
    def fit(self, sessions, *, validation=None, progress=None, warm_start=None):
        self.handed = {"warm_start": warm_start}
        return Popularity().fit(sessions)


@pytest.mark.parametrize(
    ("estimator", "taken"),
    [(Recorder(), set()), (Resuming(), {"checkpoints"}), (Refreshing(), {"warm_start"})],
)
def test_a_fit_is_handed_what_it_takes_and_no_more(estimator, taken, tmp_path):
    log = synthetic_shop(items=20, groups=2, sessions=50).log
    context = {"checkpoints": tmp_path, "warm_start": Popularity().fit(log)}
    offer(estimator, log, **context)
    assert estimator.handed == {name: context[name] for name in taken}
    assert is_resumable(estimator) == ("checkpoints" in taken)
    assert is_refreshable(estimator) == ("warm_start" in taken)


class Newest(PopularityRecommender):
    """A model with a reason of its own."""

    def because(self, session, rows):
        return [Reason("newest") for _ in rows]


def test_a_model_s_own_reason_reaches_the_list_without_a_click_that_spoke_for_it():
    popularity = Popularity().fit(synthetic_shop(items=20, groups=2, sessions=50).log)
    found = Newest(popularity.index, popularity.clicks).recommend(["item-3"], 20)
    assert {each.source for each in found} == {"viewed", "newest"}
    assert [each.item_id for each in found if each.source == "viewed"] == ["item-3"]


@pytest.mark.parametrize(
    ("support", "source", "because"),
    [
        ((5, 3), "neighbours", ("a", "b")),
        ((5, 2), "neighbours", ("a",)),
        ((2, 9), "neighbours", ("b",)),
        ((2, 1), "session", ("a", "b")),
        ((), "neighbours", ("a", "b")),
    ],
)
def test_a_reason_rests_on_enough_past_sessions_or_claims_less(support, source, because):
    found = Recommendation("c", 1.0, "neighbours", ("a", "b"), support).supported(3)
    assert (found.source, found.because) == (source, because)
    assert all(sessions >= 3 for sessions in found.support)


def test_a_support_that_is_not_one_number_for_each_click_is_refused():
    with pytest.raises(ValueError, match="one number for each click"):
        Reason("neighbours", (1, 2), (3,))


@pytest.mark.parametrize("source", ["", "New", "so new", "<b>", "1st"])
def test_a_reason_that_is_no_code_is_refused(source):
    with pytest.raises(ValueError, match="a reason's source"):
        Reason(source)


def test_an_object_is_imported_by_its_dotted_path_and_a_missing_one_is_named():
    assert import_object("django_sessrec.recsys.popularity.Popularity") is Popularity
    with pytest.raises(AttributeError, match="Nothing"):
        import_object("django_sessrec.recsys.popularity.Nothing")
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        import_object("nowhere.Estimator")
