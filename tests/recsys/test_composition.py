"""Lists that serve every intent of a session."""

import numpy as np
import pytest

from django_sessrec.recsys.composition import compose, live
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.synthetic import synthetic_shop
from tests.recsys.strategies import log_of

LIMIT = 4
TEA, CUPS = list(range(1, 21)), list(range(21, 41))


@pytest.fixture(scope="module")
def intents():
    """Twenty teas that are alike, and twenty cups; rows above 40 are like nothing."""
    draw = np.random.default_rng(0)
    sessions = [draw.choice(kind, 6, replace=False).tolist() for kind in (TEA, CUPS) for _ in range(60)]
    return Intents.of(log_of(sessions, n_items=60))


def composed(intents, session, leading, lists=(), limit=LIMIT):
    """The composed list of rows; `lists`: the model's answer for each earlier intent, the newest first."""
    session = np.array(session, np.int32)
    alive = live(session, intents)
    asked = []

    def ask(rows):
        asked.append(rows.tolist())
        return {row: f"for {rows.tolist()}" for row in lists[len(asked) - 1]}

    found = compose(dict.fromkeys(leading, "leading"), alive, intents, ask, limit)
    assert asked == [each.rows.tolist() for each in alive[1:]], "one question for each earlier intent"
    return found


def test_an_earlier_intent_without_a_place_gets_one_in_the_middle_of_each_stretch(intents):
    found = composed(intents, [1, 2, 21], leading=range(22, 30), lists=[[3, 4, 5]])
    by = [intent is not None for _, intent in found]
    assert by == [False, False, True, False] * 2
    assert [word for word, _ in found][2] == "for [1, 2]"
    assert len(found) == 8, "as long as the leading list"


@pytest.mark.parametrize(
    ("proposed", "shown"), [([50, 3, 4], 3), ([3, 50, 4], 3), ([50, 51, 3], 50), ([50], 50)]
)
def test_of_the_first_two_for_an_earlier_intent_the_more_alike_one_leads(intents, proposed, shown):
    leading = range(22, 26)
    session = np.array([1, 2, 21], np.int32)
    alive = live(session, intents)
    found = compose(
        dict.fromkeys(leading), alive, intents, lambda _rows: {row: row for row in proposed}, LIMIT
    )
    assert [item for item, intent in found if intent is not None] == [shown]


def test_an_intent_that_the_leading_list_serves_already_gets_no_more(intents):
    found = composed(intents, [1, 2, 21], leading=[22, 23, 24, 3, 25, 26, 4, 27], lists=[[5, 6]])
    assert [word for word, _ in found] == ["leading"] * 8
    assert [intent is not None for _, intent in found] == [
        row in TEA for row in (22, 23, 24, 3, 25, 26, 4, 27)
    ]


def test_nothing_is_twice_in_a_list(intents):
    leading = [22, 23, 24, 25, 26, 27, 28, 3]
    found = composed(intents, [1, 2, 21], leading=leading, lists=[[3, 22, 23]])
    assert len(found) == 8
    assert [intent is not None for _, intent in found].count(True) == 1, (
        "the rest of its list is there already"
    )


def test_an_intent_without_an_answer_leaves_the_leading_list_as_it_is(intents):
    found = composed(intents, [1, 2, 21], leading=range(22, 30), lists=[[]])
    assert [word for word, _ in found] == ["leading"] * 8


def test_a_stronger_intent_gets_more_places(intents):
    weak = composed(intents, [1, 21, 22], range(23, 31), [range(2, 12)], limit=8)
    strong = composed(intents, [*range(1, 12), 21], range(23, 31), [range(12, 20)], limit=8)
    assert [intent is not None for _, intent in weak] == [place == 4 for place in range(8)]
    assert [intent is not None for _, intent in strong] == [place in (2, 6) for place in range(8)]


def test_a_long_list_has_two_places_for_an_earlier_intent(intents):
    found = composed(intents, [*range(1, 12), 21, 22], range(23, 41), [range(12, 21)], limit=18)
    assert [place for place, (_, intent) in enumerate(found) if intent is not None] == [4, 13]


def test_three_intents_are_served_and_a_fourth_waits(intents):
    session = np.array([41, 51, 1, 2, 21], np.int32)
    alive = live(session, intents)
    assert [each.rows.tolist() for each in alive] == [[21], [1, 2], [51]]
    found = composed(intents, session, leading=range(22, 30), lists=[[3, 4], [52, 53]])
    assert {tuple(intent.rows.tolist()) for _, intent in found if intent} == {(1, 2), (51,)}


def test_an_intent_of_long_ago_is_over(intents):
    assert len(live(np.array([1, *range(21, 41)], np.int32), intents)) == 1
    assert live(np.zeros(0, np.int32), intents) == []


def test_the_second_intent_is_served_on_the_synthetic_shop():
    """A list of 8 without a new item of the other group: rare where composed, frequent where not."""
    shop = synthetic_shop(sessions=6_000)
    model, intents = Neighbours().fit(shop.log), Intents.of(shop.log)
    draw = np.random.default_rng(3)
    missed = {"composed": 0, "as ranked": 0}
    for _ in range(100):
        one, other = draw.choice(15, 2, replace=False)
        clicked = [draw.choice(np.flatnonzero(shop.group_of == group), 2, False) for group in (one, other)]
        session = np.concatenate(clicked).astype(np.int32)

        def ask(rows, session=session):
            return {row: row for row in model.top(rows, 24)[0].tolist() if row not in session}

        leading = ask(session)
        lists = {
            "as ranked": list(leading)[:8],
            "composed": [row for row, _ in compose(leading, live(session, intents), intents, ask, 8)][:8],
        }
        for name, rows in lists.items():
            missed[name] += one not in shop.group_of[rows]
    assert missed["composed"] <= 5
    assert missed["as ranked"] > 2 * missed["composed"]
