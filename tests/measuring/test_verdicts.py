"""Verdicts on arms whose figures are made up, so that each verdict is met."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from django_sessrec.experiment_models import INTERLEAVED, Experiment, Variant
from django_sessrec.measuring.arms import MEASURES, PAIRS, Arm
from django_sessrec.measuring.verdicts import Verdict, judge, planned_sessions

NOW = datetime.now(UTC)


def an_arm(sessions, orders, **sums):
    """Sessions of one list each, so many of them with an order and a line."""
    usual = dict.fromkeys(("lists", "answered", "filled"), sessions)
    given = {**usual, "ordered": orders, "lines": orders, **sums}
    values = [float(given.get(measure, 0)) for measure in MEASURES]
    # Every count of a session is 0 or 1, so that a product is the smaller count.
    products = [float(min(given.get(one, 0), given.get(other, 0))) for one, other in PAIRS]
    return Arm(sessions, values, products)


def an_experiment(**columns):
    return Experiment(**{"name": "x", "counted_from": NOW, "tuned_for": 4_000, "effect": 0.1, **columns})


def variants(*names, shares=None):
    shares = shares or [1] * len(names)
    return [Variant(name=name, share=share) for name, share in zip(names, shares, strict=True)]


def verdict(found, names=("old", "new"), **columns):
    return judge(an_experiment(**columns), variants(*names), found)


def test_nothing_is_said_before_it_is_counted():
    judged = verdict({"old": an_arm(900, 1), "new": an_arm(900, 900)}, counted_from=None)
    assert judged.verdict == Verdict.WAITING


def test_an_experiment_without_traffic_is_empty():
    judged = verdict({})
    assert (judged.verdict, judged.sessions, judged.needed) == (Verdict.EMPTY, 0, None)


def test_a_small_difference_is_too_early():
    judged = verdict({"old": an_arm(1_000, 100), "new": an_arm(1_000, 110)})
    assert judged.verdict == Verdict.EARLY
    name, bounds = judged.decides
    assert name == "new"
    assert bounds.low < 0 < bounds.high
    assert bounds.value == pytest.approx(0.01)
    assert judged.needed > 2_000


def test_of_few_sessions_no_share_differs_by_more_than_it_can():
    """A session counts once: 100 of 100 sessions with an order is all that there can be."""
    judged = verdict({"old": an_arm(50, 25), "new": an_arm(50, 27)}, tuned_for=1_000_000)
    bounds = judged.differences["new"]["orders"]
    assert (bounds.low, bounds.high) == (-1, 1)


@pytest.mark.parametrize(("orders", "expected"), [(200, Verdict.BETTER), (30, Verdict.WORSE)])
def test_a_large_difference_is_known(orders, expected):
    judged = verdict({"old": an_arm(1_000, 100), "new": an_arm(1_000, orders)})
    assert judged.verdict == expected


def test_a_difference_that_is_surely_small_is_none():
    found = {"old": an_arm(100_000, 50_000), "new": an_arm(100_000, 50_100)}
    assert verdict(found).verdict == Verdict.ALIKE


def test_a_broken_split_is_said_before_any_winner():
    judged = verdict({"old": an_arm(1_000, 100), "new": an_arm(700, 300)})
    assert judged.verdict == Verdict.BROKEN
    assert judged.split < 0.001


def test_of_several_variants_the_best_winner_counts():
    found = {"old": an_arm(1_000, 100), "b": an_arm(1_000, 200), "c": an_arm(1_000, 300)}
    judged = verdict(found, ("old", "b", "c"))
    assert (judged.verdict, judged.decides[0]) == (Verdict.BETTER, "c")
    assert list(judged.differences) == ["b", "c"]


def test_several_variants_are_compared_more_strictly():
    two = verdict({"old": an_arm(500, 50), "new": an_arm(500, 70)})
    found = {"old": an_arm(500, 50), "new": an_arm(500, 70), "c": an_arm(500, 50)}
    three = verdict(found, ("old", "new", "c"))
    assert two.differences["new"]["orders"].high < three.differences["new"]["orders"].high


def test_one_worse_variant_of_several_decides_nothing():
    found = {"old": an_arm(1_000, 100), "b": an_arm(1_000, 20), "c": an_arm(1_000, 101)}
    assert verdict(found, ("old", "b", "c")).verdict == Verdict.EARLY


def test_a_variant_removed_while_it_runs_is_told_and_left_out():
    found = {"old": an_arm(500, 50), "new": an_arm(500, 60), "gone": an_arm(250, 200)}
    judged = verdict(found)
    assert (judged.removed, judged.sessions, list(judged.arms)) == (250, 1_000, ["old", "new"])
    assert judged.verdict == Verdict.EARLY


def test_a_control_left_alone_is_compared_with_nothing():
    judged = verdict({"old": an_arm(500, 50), "new": an_arm(500, 60)}, ("old",))
    assert (judged.verdict, judged.removed) == (Verdict.WAITING, 500)


def test_fewer_full_lists_and_more_refunds_fail_the_guard_rails():
    found = {"old": an_arm(1_000, 100, refunded=5), "new": an_arm(1_000, 100, filled=800, refunded=60)}
    assert verdict(found).failed == [("new", "full"), ("new", "refunds")]
    better = {"old": found["new"], "new": found["old"]}
    assert verdict(better).failed == []


def test_a_variant_without_a_full_list_fails_where_the_control_has_full_ones_only():
    found = {"old": an_arm(5_000, 100), "new": an_arm(5_000, 100, filled=0)}
    assert verdict(found).failed == [("new", "full")]


def test_a_single_refunded_line_fails_no_guard_rail():
    found = {"old": an_arm(500, 20, refunded=1), "new": an_arm(60, 1, refunded=1)}
    judged = judge(an_experiment(tuned_for=20_000), variants("old", "new", shares=[9, 1]), found)
    assert (judged.differences["new"]["refunds"], judged.failed) == (None, [])
    enough = {"old": an_arm(1_000, 100, refunded=5), "new": an_arm(1_000, 50, refunded=40)}
    assert verdict(enough).failed == [("new", "refunds")]


@pytest.mark.parametrize("names", [("none", "new"), ("new", "none")])
def test_lists_are_not_compared_with_a_holdouts_empty_ones(names):
    some_short = an_arm(1_000, 100, filled=800, refunded=60)
    both = [Variant(name=name, share=1, holdout=name == "none") for name in names]
    for arm in (timed(40), some_short):
        judged = judge(an_experiment(), both, {"none": an_arm(1_000, 100), "new": arm})
        assert set(judged.differences[names[1]]) == {"orders", "revenue", "refunds"}
    assert judged.failed == ([("new", "refunds")] if names[1] == "new" else [])


@pytest.mark.parametrize("names", [("none", "new"), ("new", "none")])
def test_clicks_do_not_decide_against_a_holdout(names):
    both = [Variant(name=name, share=1, holdout=name == "none") for name in names]
    found = {"none": an_arm(1_000, 100), "new": an_arm(1_000, 100, clicked=600)}
    judged = judge(an_experiment(goal="clicks"), both, found)
    assert (judged.verdict, judged.decides) == (Verdict.UNCOMPARED, ("", None))


def test_clicks_decide_between_the_variants_beside_a_holdout():
    three = [Variant(name=name, share=1, holdout=name == "none") for name in ("old", "new", "none")]
    found = {
        "old": an_arm(1_000, 100, clicked=100),
        "new": an_arm(1_000, 100, clicked=20),
        "none": an_arm(1_000, 100),
    }
    judged = judge(an_experiment(goal="clicks"), three, found)
    assert (judged.verdict, judged.decides[0]) == (Verdict.WORSE, "new")


def timed(mean):
    """Lists that take so many milliseconds, give or take half."""
    arm = an_arm(1_000, 100, milliseconds=1_000 * mean)
    spread = {("milliseconds", "milliseconds"): 1_250.0 * mean**2, ("milliseconds", "lists"): 1_000.0 * mean}
    return replace(
        arm, products=[spread.get(pair, known) for pair, known in zip(PAIRS, arm.products, strict=True)]
    )


@pytest.mark.parametrize(("mean", "failed"), [(40, [("new", "time")]), (25, [])])
def test_lists_that_surely_take_much_longer_fail_the_guard_rail(mean, failed):
    judged = verdict({"old": timed(10), "new": timed(mean)})
    assert judged.failed == failed
    assert judged.differences["new"]["time"].value == pytest.approx(mean - 10)


def test_the_guard_rail_of_time_can_be_turned_off(settings):
    settings.SESSREC = {"ALARMS": {"SLOWER_LISTS_MS": None}}
    assert verdict({"old": timed(10), "new": timed(90)}).failed == []


def test_a_variant_with_a_share_of_nought_is_planned_for_never():
    experiment = an_experiment()
    assert planned_sessions(experiment, an_arm(1_000, 100), [1, 0]) is None
    assert planned_sessions(experiment, an_arm(1_000, 100), [1]) is None
    even, uneven = (planned_sessions(experiment, an_arm(1_000, 100), shares) for shares in ([1, 1], [9, 1]))
    assert uneven > 2 * even


@pytest.mark.parametrize(
    ("preferred", "expected"), [(0, Verdict.EARLY), (400, Verdict.BETTER), (-400, Verdict.WORSE)]
)
def test_interleaving_holds_the_second_against_the_first(preferred, expected):
    arm = Arm(
        2_000,
        [float(preferred) if measure == "preferred" else 0.0 for measure in MEASURES],
        [900.0 if pair == ("preferred", "preferred") else 0.0 for pair in PAIRS],
    )
    judged = verdict({INTERLEAVED: arm, "old": an_arm(9, 1)}, kind="interleaving", tuned_for=2_000)
    assert (judged.verdict, judged.decides[0], judged.removed) == (expected, "new", 9)


def test_interleaving_without_traffic_is_empty():
    assert verdict({}, kind="interleaving").verdict == Verdict.EMPTY
    assert verdict({}, kind="interleaving", counted_from=None).verdict == Verdict.WAITING
