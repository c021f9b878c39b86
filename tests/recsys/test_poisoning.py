"""What a crowd may teach: a pushed item is bounded, and what people like is not."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.scale import zipf
from django_sessrec.recsys import poisoning
from django_sessrec.recsys.poisoning import BOUNDS, Bounds, within_bounds
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


def kept_by_plain_python(day, session, row, share, bounds):
    """The module's docstring, click by click."""
    clicks = list(zip(day.tolist(), session.tolist(), row.tolist(), strict=True))
    kept = {*clicks}
    for each in {*day.tolist()}:
        of_day = [click for click in kept if click[0] == each]
        holding = defaultdict(set)
        for _, visit, item in of_day:
            holding[item].add(visit)
        mean = sum(map(len, holding.values())) / len(holding)
        n_sessions = len({visit for _, visit, _ in of_day})
        allowed = max(share * n_sessions, bounds.min_sessions, bounds.mean_multiple * mean)
        for item, visits in holding.items():
            over = [visit for place, visit in enumerate(sorted(visits)) if place >= allowed]
            kept -= {(each, visit, item) for visit in over}
    items_of = defaultdict(set)
    for _, visit, item in kept:
        items_of[visit].add(item)
    frequency = Counter(item for items in items_of.values() for item in items)
    mean, n_sessions = sum(frequency.values()) / len(frequency), len(items_of)
    light = int(max(bounds.min_heavy, bounds.heavy_share * n_sessions, mean))
    for lift in (bounds.lift, 1):
        surplus = []
        for heavy in (item for item in sorted(frequency) if frequency[item] > light):
            visits = [visit for visit in sorted(items_of) if heavy in items_of[visit]]
            meetings = Counter(item for visit in visits for item in items_of[visit])
            often = max(frequency[heavy], bounds.mean_multiple * mean) / n_sessions
            bounded = min(max(1 / (2 * often), 1.0), lift)
            supporters = set()
            for item in meetings.keys() - {heavy}:
                expected = frequency[heavy] * frequency[item] / n_sessions
                beyond = max(bounded * expected, expected + 3 * expected**0.5 + 1)
                elsewhere = meetings[item] <= bounds.max_overlap * frequency[item]
                if meetings[item] - 1 >= beyond and elsewhere:
                    supporters.add(item)
            supported = [visit for visit in visits if items_of[visit] & supporters]
            others = [v for v in visits if not items_of[v] & supporters and len(items_of[v]) > 1]
            always = max(bounds.min_sessions, light // bounds.left_divisor, len(supported))
            surplus += [(visit, heavy) for visit in others[always:]]
        counts = Counter(item for _, item in surplus)
        if len(surplus) ** 2 <= bounds.max_pushed_items * sum(n**2 for n in counts.values()):
            break
    return [click in kept and click[1:] not in surplus for click in clicks]


TIGHT = Bounds(min_sessions=1, mean_multiple=1, heavy_share=0.05, min_heavy=4, lift=3, max_pushed_items=2)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(-20, 20), st.integers(1, 6)), min_size=1, max_size=150),
    st.sampled_from([0.1, 0.3, 0.8]),
    st.sampled_from([8, 30, 1_000_000]),
)
def test_the_bounds_are_those_of_plain_python_however_many_clicks_are_sorted_at_once(clicks, share, at_once):
    day, session, row = (np.array(column, np.int64) for column in zip(*clicks, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(poisoning, "AT_ONCE", at_once)
        kept = within_bounds(day, session, row, share, TIGHT)
    assert kept.tolist() == kept_by_plain_python(day, session, row, share, TIGHT)


def test_the_order_of_the_clicks_changes_nothing(people):
    order = np.random.default_rng(0).permutation(len(people[0]))
    shuffled = within_bounds(*(column[order] for column in people), SHARE)
    assert (shuffled == within_bounds(*people, SHARE)[order]).all()


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
