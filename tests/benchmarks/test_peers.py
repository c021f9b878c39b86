"""The race is driven as benchmarks.peers drives it, by a contestant that needs no other library."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.contestant import LONGEST, padded, write
from benchmarks.peers.race import course, fit, reached, save
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.popularity import PopularityRecommender
from django_sessrec.recsys.synthetic import synthetic_shop

ROOT = Path(__file__).parents[2]
MOST_CLICKED = """
import sys
from pathlib import Path
import numpy as np
from benchmarks.peers.contestant import Race

race = Race(Path(sys.argv[1]), 1)
clicks = np.bincount(race.train.items, minlength=len(race.train.index)).astype(np.float32)
print("a library prints what it likes")
race.run(lambda sessions: np.tile(clicks, (len(sessions), 1)), lambda: race.trained(100))
"""


@pytest.fixture
def contestant(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Cases]]:
    train, later = synthetic_shop(sessions=600).log.split_last(0.1)
    cases = Cases.from_log(later)
    write(tmp_path, train, cases.take(np.arange(50)), with_an_empty_prefix(cases))
    with subprocess.Popen(
        [sys.executable, "-c", MOST_CLICKED, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process, cases


def with_an_empty_prefix(cases: Cases) -> Cases:
    """The same cases, the first without a click that training knew."""
    stops = cases.stops.copy()
    stops[0] = cases.starts[0]
    return Cases(cases.index, cases.items, cases.starts, stops, cases.labels, cases.lengths)


def test_a_contestant_trains_when_told_and_is_judged_like_ours(contestant):
    process, cases = contestant

    def answer(order: str = "") -> dict[str, float]:
        if order:
            print(order, file=process.stdin, flush=True)
        return json.loads(process.stdout.readline())

    assert answer() == {"ready": True}
    first, second = answer("train 0.05"), answer("train 0.05")
    assert second["targets_per_s"] > 0
    assert second["epochs"] > first["epochs"]
    assert second["cpu_seconds"] >= 0.1
    train = synthetic_shop(sessions=600).log.split_last(0.1)[0]
    clicks = np.bincount(train.items, minlength=len(train.index)).astype(np.float32)
    asked = cases.take(np.arange(1, len(cases)))  # no answer to the first
    ours = evaluate(PopularityRecommender(train.index, clicks), asked).as_dict()
    assert answer("judge")["hr@20"] == pytest.approx(ours["hr@20"] * len(asked) / len(cases))
    print("end", file=process.stdin, flush=True)
    assert process.wait(300) == 0


def test_sessions_are_padded_on_the_side_that_the_peer_reads():
    theirs = np.array([0, 11, 12, 13])
    sessions = [np.array([1, 3], np.int32), np.array([2], np.int32)]
    right, left = (padded(sessions, theirs, left=side).tolist() for side in (False, True))
    assert [line[:3] for line in right] == [[11, 13, 0], [12, 0, 0]]
    assert [line[-3:] for line in left] == [[0, 11, 13], [0, 0, 12]]
    assert len(left[0]) == LONGEST


def test_how_much_sooner_counts_from_the_first_fit_that_is_as_good_by_both_figures():
    def point(seconds: float, hr: float, mrr: float) -> dict[str, float]:
        return {"seconds": seconds, "cpu_seconds": 2 * seconds, "hr@20": hr, "mrr@20": mrr}

    peer = {"points": [point(60, 30, 10), point(120, 40, 15), point(180, 39, 14)]}
    ours = {"net": {"points": [point(10, 45, 14), point(20, 45, 16), point(30, 50, 18)]}}
    found = reached(peer, ours)
    assert found["best"] == peer["points"][1]
    assert (found["first"]["by"], found["first"]["seconds"]) == ("net", 20)
    assert found["seconds_ratio"] == found["cpu_seconds_ratio"] == 6
    assert reached(peer, {"net": {"points": [point(10, 1, 1)]}}) == {"best": peer["points"][1]}


def test_the_figures_on_disk_compare_a_peer_with_ours_while_the_race_goes_on(tmp_path):
    point = {"seconds": 5, "cpu_seconds": 5, "hr@20": 30, "mrr@20": 10}
    slower = {**point, "cpu_seconds": 50, "seconds": 100}
    save(tmp_path / "peers.json", {"recbole_gru4rec": {"points": [slower]}, "gru4rec": {"points": [point]}})
    saved = json.loads((tmp_path / "peers.json").read_text())
    assert saved["recbole_gru4rec"]["reached"]["cpu_seconds_ratio"] == 10
    assert "reached" not in saved["gru4rec"]


def test_part_of_an_epoch_can_be_asked_for():
    assert [fit("gru4rec:0.125"), fit("sasrec:3")] == [("gru4rec", 0.125), ("sasrec", 3)]


def test_a_part_of_the_course_is_its_newest_sessions_judged_by_all_that_came_after():
    log = synthetic_shop(sessions=600).log
    whole, cases = course(log, 1)
    part, its_cases = course(log, 0.25)
    assert len(part) == round(0.25 * len(whole))
    assert part.times.tolist() == whole.times[-part.n_clicks :].tolist()
    assert len(its_cases) == len(cases)
    assert (its_cases.labels == 0).sum() > (cases.labels == 0).sum(), "items that it does not have are misses"
