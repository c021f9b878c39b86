"""The benchmark of relevance, at a size that a test can wait for."""

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.relevance.intents import lists, new_clicks, two_intents
from benchmarks.relevance.pages import Tally
from benchmarks.relevance.signals import signals
from benchmarks.relevance.simulation import session_of_two, simulate
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.neighbours import Neighbours


@pytest.fixture(scope="module")
def simulation():
    return simulate(4_000)


@pytest.fixture(scope="module")
def model(simulation):
    return Neighbours().fit(simulation.log)


@pytest.mark.parametrize("pattern", ["AAB", "AABB", "AABBA"])
def test_a_simulated_session_follows_its_pattern(simulation, pattern):
    session, waiting = session_of_two(simulation, pattern, np.random.default_rng(0))
    kinds = dict(zip(pattern, simulation.kind[session], strict=True))
    assert [kinds[letter] for letter in pattern] == simulation.kind[session].tolist()
    assert len(set(session.tolist())) == len(pattern)
    assert waiting == next(kind for letter, kind in kinds.items() if letter != pattern[-1])


def test_composed_lists_serve_the_second_intent(simulation, model):
    for pattern, figures in two_intents(model, simulation).items():
        assert figures["composed_without_percent"] <= 15, pattern
        assert figures["composed_without_percent"] <= figures["as_ranked_without_percent"]
        assert figures["composed_items"] >= figures["as_ranked_items"]


def test_the_list_as_ranked_has_the_figures_of_the_evaluation(simulation, model):
    cases = Cases.from_log(simulation.log).thinned(300)
    intents = Intents.of(simulation.log)
    figures = new_clicks(model, intents, cases, intents.counts(cases))
    report = evaluate(model, cases)
    assert figures["cases_new"] == report.cases_new
    assert figures["as_ranked"]["all"]["hr@20_new"] == pytest.approx(100 * report.hr_new, abs=0.5)  # ties
    lost = figures["as_ranked"]["2 and more"]["hr@20_new"] - figures["composed"]["2 and more"]["hr@20_new"]
    assert figures["loss"]["2 and more"]["hr@20_new"] == pytest.approx(lost)


def test_no_list_has_an_item_twice_or_one_that_was_clicked(simulation, model):
    intents = Intents.of(simulation.log)
    draw = np.random.default_rng(0)
    for _ in range(20):
        session, _waiting = session_of_two(simulation, "AABB", draw)
        for rows in lists(model, intents, session, 8).values():
            assert len(set(rows)) == len(rows) == 8
            assert not set(rows) & set(session.tolist())


def test_weights_of_events_are_judged_by_the_same_clicks():
    figures = signals(days=6, a_day=400)
    cases = {(each["cases"], each["cases_bought"]) for each in figures.values()}
    assert len(cases) == 1, "the same clicks under all weights"
    assert figures["basket 5, purchase 10"] != figures["alike"]
    assert all(0 < each["bought@8"] < 100 for each in figures.values())


def test_an_unknown_part_is_named():
    command = [sys.executable, "-m", "benchmarks.relevance", "--parts", "intents"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "intents is unknown; there are two_intents" in answer.stderr


def test_without_data_the_simulated_parts_are_measured(tmp_path):
    out = tmp_path / "relevance.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.relevance",
        "--parts",
        "two_intents,new_clicks",
        "--out",
        out,
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads(out.read_text()).keys() == {"two_intents"}


def test_a_page_is_counted_by_what_its_lists_hold():
    """A list of the basket's page with a substitute, what is bought again, and what stands there twice."""

    def section(placement, *items):
        cards = "".join(f'<li data-sessrec-item="{item}"></li>' for item in items)
        return f'<section class="own" data-sessrec-placement="{placement}"><ul>{cards}</ul></section>'

    tally = Tally()
    page = section("basket", 1, 2, 3, 4) + section("home", 4, 5) + section("recently_viewed", 9)
    kinds = {"1": "pot", "2": "cup", "3": "tea", "4": "tea", "5": "pot", "9": "jug"}
    tally.page(page, "", ["5", "9"], kinds)
    figures = tally.figures()
    assert figures["items"] == 7
    assert figures["duplicates_on_page"] == pytest.approx(100 * 2 / 7, abs=0.01), "product 4, in two lists"
    assert figures["bought_again"] == pytest.approx(100 / 6, abs=0.01), (
        "what leads back may be bought already"
    )
    assert figures["basket_complements"] == 25
    assert figures["basket_complements_lists"] == 100
    assert figures["bought_kinds"] == 0, "nothing is ordered yet"
    tally.page(page, "", ["5", "9"], kinds, {"tea"})
    assert tally.figures()["bought_kinds"] == 50
