"""What a crowd may teach: a pushed item is bounded, and what people like is not."""

import numpy as np
import pytest

from benchmarks.scale import zipf
from django_sessrec.recsys.poisoning import BOUNDS, within_bounds
from django_sessrec.recsys.synthetic import synthetic_shop

SHARE = 0.05


def columns(log, seed=0):
    """The log's clicks as the bounds see them: days, hashes of sessions, rows."""
    hashes = np.random.default_rng(seed).integers(-(2**62), 2**62, len(log))
    return log.times // 86_400, np.repeat(hashes, log.lengths), log.items.astype(np.int64)


@pytest.fixture(scope="module")
def people():
    return columns(synthetic_shop(items=1_000, groups=20, sessions=6_000).log)


def with_crowd(people, company, sessions, draw):
    """People's clicks and a crowd's: row 999 beside what `company(draw)` names; whose clicks they are."""
    day, session, row = people
    hashes = draw.integers(-(2**62), 2**62, sessions)
    rows = [np.append(company(draw), 999) for _ in range(sessions)]
    lengths = [len(each) for each in rows]
    days = np.repeat(draw.choice(day, sessions), lengths)
    together = (
        np.concatenate((day, days)),
        np.concatenate((session, np.repeat(hashes, lengths))),
        np.concatenate((row, *rows)),
    )
    return together, np.arange(len(day) + len(days)) >= len(day)


def test_people_teach_all_they_do(people):
    assert within_bounds(*people, SHARE).mean() > 0.999


def test_people_who_look_at_things_in_no_order_teach_too():
    """Popular items that go with everything are too many for a crowd to be the likely cause."""
    clicks = zipf.draw(500, 24_000)
    hashes = np.random.default_rng(0).permutation(clicks.sessions.max() + 1)
    assert within_bounds(clicks.seconds // 86_400, hashes[clicks.sessions], clicks.items, SHARE).mean() > 0.95


@pytest.mark.parametrize("sessions", [150, 1_500])
def test_an_item_put_where_it_does_not_belong_teaches_next_to_nothing(people, sessions):
    draw = np.random.default_rng(1)
    clicks, crowd = with_crowd(people, lambda draw: draw.choice(people[2], 3), sessions, draw)
    kept = within_bounds(*clicks, SHARE)
    pushed = crowd & (clicks[2] == 999)
    assert kept[pushed].sum() < 0.15 * sessions
    assert kept[~pushed].mean() > 0.999, "people, and the rest of what the crowd did"


@pytest.mark.parametrize("escort", [[], [998]], ids=["alone", "with an item that stands nowhere else"])
@pytest.mark.parametrize("sessions", [300, 1_500])
def test_an_item_put_beside_the_popular_ones_teaches_next_to_nothing(people, sessions, escort):
    """Programs have them meet more often than chance; people have those meet oftener that belong together."""
    day, session, row = people
    unseen = ~np.isin(row, [998, 999])
    popular = np.argsort(-np.bincount(row))[:50]
    clicks, crowd = with_crowd(
        (day[unseen], session[unseen], row[unseen]),
        lambda draw: np.array([*draw.choice(popular, 2), *escort]),
        sessions,
        np.random.default_rng(1),
    )
    kept = within_bounds(*clicks, SHARE)
    assert kept[crowd & (clicks[2] == 999)].sum() < 0.05 * sessions
    assert kept[~crowd].mean() > 0.98


def test_an_item_that_always_stands_beside_another_is_bounded_by_its_share(people):
    clicks, _crowd = with_crowd(people, lambda _: [7], 1_500, np.random.default_rng(1))
    kept = within_bounds(*clicks, SHARE)
    pushed = kept & (clicks[2] == 999)
    day, session = clicks[0][pushed], clicks[1][pushed]
    for each in np.unique(day):
        with_item = len(np.unique(session[day == each]))
        of_all = len(np.unique(clicks[1][clicks[0] == each]))
        assert with_item <= max(BOUNDS.min_sessions, SHARE * of_all) + 1


def test_one_lets_everything_in(people):
    clicks, _ = with_crowd(people, lambda _: [7], 1_500, np.random.default_rng(1))
    assert within_bounds(*clicks, 1.0).all()


def test_visits_of_one_click_say_what_is_popular():
    """Half of the visits end on the page that a newsletter led to."""
    session, row = np.arange(2_000), np.concatenate((np.full(1_000, 1), np.arange(1_000) % 500 + 2))
    kept = within_bounds(np.arange(2_000) % 100, session, row, SHARE)
    assert kept[:1_000].sum() >= 100 * BOUNDS.min_sessions - 100


def test_no_clicks():
    nothing = np.zeros(0, np.int64)
    assert within_bounds(nothing, nothing, nothing, SHARE).shape == (0,)
