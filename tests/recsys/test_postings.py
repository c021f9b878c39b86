"""Posting lists against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings

from django_sessrec.recsys.kernels.postings import postings_of
from django_sessrec.recsys.postings import Postings
from tests.recsys.strategies import LOGS, N_ITEMS


@settings(deadline=None, max_examples=100)
@given(log=LOGS)
def test_each_row_has_its_sessions_newest_first_with_its_last_place_in_each(log):
    found = Postings.of(log)
    found.check(len(log.index))
    for row in range(N_ITEMS + 1):
        expected = []
        for s in reversed(range(len(log))):
            places = np.flatnonzero(log[s] == row)
            if len(places):
                expected.append([s, places[-1]])
        start, stop = found.posting_offsets[row : row + 2]
        assert found.postings[start:stop].tolist() == expected


def test_a_log_without_clicks_has_no_postings():
    postings, offsets = postings_of(np.zeros(0, np.int32), np.zeros(1, np.int64), 5)
    assert postings.shape == (0, 2)
    assert offsets.tolist() == [0] * 6


@pytest.mark.parametrize(
    ("items", "offsets", "message"),
    [
        ([1, 5], [0, 2], "rows 1 to 5, not 0 to 4"),
        ([-1, 2], [0, 2], "rows -1 to 2"),
        ([1, 2], [0, 3], "do not rise"),
        ([1, 2], [1, 2], "do not rise"),
        ([1, 2], [0, 2, 1, 2], "do not rise"),
    ],
)
def test_clicks_that_the_kernel_could_not_count_are_refused(items, offsets, message):
    with pytest.raises(ValueError, match=message):
        postings_of(np.array(items, np.int32), np.array(offsets), 5)
