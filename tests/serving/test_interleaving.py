"""Team-draft interleaving: who drafts what, and that no team is favoured."""

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.serving.interleaving import team_draft, teams

rankings = st.permutations(range(12)).map(lambda items: items[:8])


def test_each_team_drafts_its_best_that_is_left():
    assert team_draft(("abcd", "bade"), (1, 0, 0, 1)) == ["b", "a", "c", "d"]


def test_the_draft_ends_where_a_team_has_none_left():
    assert team_draft(("ab", "ba"), (0, 1, 0, 1)) == ["a", "b"]
    assert team_draft(("", "ba"), (1, 0, 1)) == ["b"]


@given(rankings, rankings, st.uuids())
def test_no_item_twice_and_each_from_its_own_team(first, second, session_id):
    order = teams("which", session_id, 8)
    drafted = team_draft((first, second), order)
    assert len(set(drafted)) == len(drafted) == 8
    for item, team in zip(drafted, order, strict=True):
        assert item in (first, second)[team]


@given(rankings, st.uuids())
def test_two_equal_lists_stay_as_they_are(ranking, session_id):
    assert team_draft((ranking, ranking), teams("which", session_id, 8)) == ranking


@given(st.uuids(), st.integers(0, 100))
def test_the_teams_take_turns(session_id, places):
    order = teams("which", session_id, places)
    assert len(order) == places
    assert abs(sum(order) - places / 2) <= 0.5
    assert all(a != b for a, b in zip(order[::2], order[1::2], strict=False))


def test_each_team_has_each_place_in_half_of_all_sessions():
    seconds = Counter()
    for number in range(2_000):
        seconds.update(place for place, team in enumerate(teams("which", UUID(int=number), 8)) if team)
    assert min(seconds.values()) > 900
    assert max(seconds.values()) < 1_100


def test_the_coins_of_two_experiments_are_independent():
    same = sum(teams("a", UUID(int=n), 1) == teams("b", UUID(int=n), 1) for n in range(2_000))
    assert 900 < same < 1_100
