"""Whether the statistics of experiments keep what they promise: `python -m benchmarks.experiments`.

Shops are simulated, with sessions as skewed and as alike as real ones, and looked at daily through the
package's own functions.
"""

from __future__ import annotations

import argparse
import json
from math import sqrt
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.experiments import duel
from benchmarks.experiments.shop import MEASURES, Shop, cap, looks, measured, ratio_of
from django_sessrec.measuring.proportions import Z_95
from django_sessrec.measuring.sequences import ALARM, Ratio, sample_ratio, sequence, sessions_needed

DAYS = 30
TRAFFIC = (40, 400)  # sessions a day and arm, of a small and of a larger shop
HISTORY = 100_000  # sessions before the experiment, for the cap and the calculator
LIFTS = {"clicks": 0.05, "orders": 0.25, "revenue": 0.3}
SPLIT_TRAFFIC = 1_000  # sessions a day of both arms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--tests",
        type=int,
        default=1_000,
        help="simulated experiments behind each share; half as many for lifts of orders and sales",
    )
    parser.add_argument("--seeds", type=int, default=3, help="of the interleaved rankers")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    for part in (aa_tests, power, sample_ratios, coverage):
        figures |= part(arguments.tests)
    figures |= interleaving(arguments.tests * 20, arguments.seeds)
    for name, value in figures.items():
        print(f"{name:40} {value:10.3f}", flush=True)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")


def aa_tests(tests: int) -> dict[str, float]:
    """Two equal arms: the share of tests that show a winner on any day, by the worst measure and traffic."""
    shop, draw = Shop(), np.random.default_rng(1)
    capped_at = cap(shop.sessions(draw, HISTORY))
    found: dict[str, float] = {}
    ordinary = 0.0
    for traffic in TRAFFIC:
        winners, by_z = dict.fromkeys(MEASURES, 0), 0
        for _test in range(tests):
            arms = [shop.sessions(draw, traffic * DAYS) for _arm in range(2)]
            for measure in MEASURES:
                days = [looks(*measured(arm, measure, capped_at), DAYS) for arm in arms]
                winners[measure] += any(
                    excludes(a, b, 0, 2 * traffic * DAYS) for a, b in zip(*days, strict=True)
                )
                if measure == "clicks":
                    by_z += any(significant(a, b) for a, b in zip(*days, strict=True))
        found |= {f"aa_{measure}_{traffic}_a_day": number / tests for measure, number in winners.items()}
        ordinary = max(ordinary, by_z / tests)
    worst = max(found.values())
    return {"aa_false_positive": worst, **found, "aa_false_positive_of_daily_z_tests": ordinary}


def excludes(control: Ratio, arm: Ratio, truth: float, tuned_for: float) -> bool:
    bounds = sequence(arm, control, tuned_for)
    return bounds is not None and not bounds.low <= truth <= bounds.high


def significant(control: Ratio, arm: Ratio) -> bool:
    """What an ordinary test says, which is meant for one look."""
    error = sqrt(arm.unit_variance / arm.sessions + control.unit_variance / control.sessions)
    return abs(arm.value - control.value) > Z_95 * error


def power(tests: int) -> dict[str, float]:
    """The share of tests that find a planted lift by the number of sessions that the calculator named."""
    shop, draw = Shop(), np.random.default_rng(2)
    history = shop.sessions(draw, HISTORY)
    capped_at = cap(history)
    found = {}
    for measure, lift in LIFTS.items():
        needed = sessions_needed(ratio_of(*measured(history, measure, capped_at)), lift)
        better = shop.better(measure, lift)
        numbers = tests if measure == "clicks" else max(1, tests // 2)  # these need many sessions each
        hits = 0
        for _test in range(numbers):
            arms = [each.sessions(draw, needed // 2) for each in (shop, better)]
            days = [looks(*measured(arm, measure, capped_at), DAYS) for arm in arms]
            bounds = [sequence(b, a, needed) for a, b in zip(*days, strict=True)]
            hits += any(each is not None and each.low > 0 for each in bounds)
        found[f"power_{measure}"] = hits / numbers
        found[f"sessions_{measure}_plus_{lift:.0%}"] = needed
    return {"power": min(value for name, value in found.items() if name.startswith("power")), **found}


def sample_ratios(tests: int) -> dict[str, float]:
    """Splits looked at daily for a month: how often the alarm sounds for 52/48, and for a true 50/50."""

    def alarms(share: float, seed: int) -> float:
        draw = np.random.default_rng(seed)
        first = draw.binomial(SPLIT_TRAFFIC, share, (tests, DAYS)).cumsum(axis=1)
        whole = SPLIT_TRAFFIC * np.arange(1, DAYS + 1)
        return fmean(
            any(sample_ratio((int(a), int(n - a)), (1, 1)) < ALARM for a, n in zip(row, whole, strict=True))
            for row in first
        )

    return {"srm_found": alarms(0.52, 3), "srm_false_alarms": alarms(0.5, 4)}


def coverage(tests: int) -> dict[str, float]:
    """The share of tests in which the bounds of revenue hold the true difference on all thirty days."""
    shop, draw = Shop(), np.random.default_rng(5)
    better = shop.better("revenue", LIFTS["revenue"])
    capped_at = cap(shop.sessions(draw, HISTORY))
    truth = fmean(
        measured(better.sessions(draw, 1_000_000), "revenue", capped_at)[0].mean()
        - measured(shop.sessions(draw, 1_000_000), "revenue", capped_at)[0].mean()
        for _part in range(8)
    )

    def share(traffic: int) -> float:
        held = 0
        for _test in range(tests):
            arms = [each.sessions(draw, traffic * DAYS) for each in (shop, better)]
            days = [looks(*measured(arm, "revenue", capped_at), DAYS) for arm in arms]
            held += not any(excludes(a, b, truth, 2 * traffic * DAYS) for a, b in zip(*days, strict=True))
        return held / tests

    found = {f"coverage_{traffic}_a_day": share(traffic) for traffic in TRAFFIC}
    return {"coverage": min(found.values()), **found}


def interleaving(sessions: int, seeds: int) -> dict[str, float]:
    """Sessions of an A/B test of clicks over those of interleaving; the headline is a lift of 5 %."""
    found: dict[str, float] = {}
    for gap, noise in duel.GAPS.items():
        rounds = [duel.speedup(noise, sessions, seed) for seed in range(seeds)]
        found |= {f"interleaving_{gap}_{name}": fmean(each[name] for each in rounds) for name in rounds[0]}
    return {"interleaving_speedup": found["interleaving_middle_speedup"], **found}


if __name__ == "__main__":
    main()
