"""Which past sessions voted: their parts add up to what the kernel says."""

from dataclasses import replace

import numpy as np
import pytest

from django_sessrec.recsys.neighbour_sessions import clicked_after, sessions_behind
from django_sessrec.recsys.neighbours import Neighbours, RecentNeighbours
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop


@pytest.mark.parametrize(
    "estimator",
    [Neighbours(), RecentNeighbours(), Neighbours(neighbours=7, sessions_per_item=5, reach=2, clicks=2)],
)
def test_the_parts_add_up_to_the_kernels_score(estimator):
    log = synthetic_shop(items=40, groups=4, sessions=400, days=5).log
    log = replace(log, weights=np.random.default_rng(0).choice(np.float32([0, 0.5, 3]), log.n_clicks))
    model = estimator.fit(log)
    checked = 0
    for session in (log[10][:3], log[200], np.array([3, 9, 3, 3, 17], np.int32)):
        rows, scores = model.kernel.score(session)
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
            parts = sessions_behind(model, session, row)
            assert sum(each.score for each in parts) == pytest.approx(score, rel=1e-4)
            assert all(row in each.rows for each in parts)
            checked += 1
    assert checked > 20


def test_the_loudest_session_stands_first_and_tells_its_age():
    log = SessionLog.from_clicks(
        [1, 1, 2, 2, 3, 3], ["a", "b", "a", "b", "c", "b"], [0, 5, 86_400, 86_405, 2 * 86_400, 2 * 86_400 + 5]
    )
    model = Neighbours(day_decay=1.0).fit(log)
    behind = sessions_behind(model, model.index.rows(["a"]), model.index.rows(["b"])[0])
    assert [round(each.age_days, 3) for each in behind] == [1.0, 2.0]
    assert [model.index.item_ids(each.rows) for each in behind] == [["a", "b"], ["a", "b"]]


def test_an_item_without_a_vote_has_nobody_behind_it():
    log = SessionLog.from_clicks([1, 1, 2, 2], ["a", "b", "c", "d"], [0, 1, 2, 3])
    model = Neighbours().fit(log)
    assert sessions_behind(model, model.index.rows(["a"]), model.index.rows(["d"])[0]) == []


def test_what_is_clicked_after_an_item_is_counted_by_session():
    """Four sessions have "a": two go on to "b", one, after its last "a", to "c"; one ends there."""
    trails = ["ab", "aabd", "aba" + "c", "xa", "bx"]
    clicks = [(n, item) for n, trail in enumerate(trails) for item in trail]
    log = SessionLog.from_clicks(*map(list, zip(*clicks, strict=True)), list(range(len(clicks))))
    model = Neighbours().fit(log)
    found, went_on = clicked_after(model.postings, int(model.index.rows(["a"])[0]), 5)
    assert [(model.index.item_ids([row])[0], sessions) for row, sessions in found] == [("b", 2), ("c", 1)]
    assert went_on == 3
    assert clicked_after(model.postings, int(model.index.rows(["d"])[0]), 5) == ([], 0)
    assert len(clicked_after(model.postings, int(model.index.rows(["a"])[0]), 1)[0]) == 1
