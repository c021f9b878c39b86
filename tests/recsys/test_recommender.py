import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.recsys.recommender import best

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
