import json

import numpy as np

from benchmarks.scale.__main__ import TABLE
from benchmarks.scale.steps import CLICKS, WRITTEN
from benchmarks.scale.zipf import draw
from tests.support.benchmarks import measured, printed


def test_clicks_are_drawn_alike_from_the_same_seed_with_a_few_items_far_more_popular_than_the_rest():
    clicks, again, other = draw(5_000, 50_000), draw(5_000, 50_000), draw(5_000, 50_000, seed=1)
    assert (clicks.items == again.items).all()
    assert (clicks.items != other.items).any()
    assert 1 <= clicks.items.min() <= clicks.items.max() <= 5_000
    popular = np.sort(np.bincount(clicks.items))[::-1]
    assert popular[:50].sum() > 10 * popular[500:550].sum()


def test_clicks_of_a_session_stand_together_and_in_order_of_time():
    clicks = draw(5_000, 50_000)
    same_session = np.diff(clicks.sessions) == 0
    assert (np.diff(clicks.sessions) >= 0).all()
    assert (np.diff(clicks.seconds)[same_session] > 0).all()
    assert 4 < len(clicks.items) / len(np.unique(clicks.sessions)) < 6


def test_a_shop_is_measured_as_it_grows_and_stands_in_one_table(tmp_path):
    out = tmp_path / "scale.json"
    size = ("--items", "300", "--events", "3000", "6000", "--workers", "1", "--requests", "40")
    table = printed("scale", *size, "--models", "ranked", "--out", out)
    figures = json.loads(out.read_text())
    assert [(shop["events"], shop["items"]) for shop in figures["shops"]] == [(3_000, 300), (6_000, 300)]
    for shop in figures["shops"]:
        written = WRITTEN * CLICKS  # one by one, to be timed
        assert 0.5 * shop["events"] < shop["clicks"] <= shop["events"] + written
        measured = {*TABLE, "page_requests_per_s_1_workers", "page_p90_ms_1_workers"}
        assert all(shop[name] > 0 for name in measured)
    assert figures["queries"]["300"]["ranked_query_us_p90"] > 0
    assert table.count("\n| ") == 2 + 2 + 2 + 1


def test_the_memory_of_a_training_run_is_measured_step_by_step(tmp_path):
    options = ("--items", "500", "--clicks", "30000")
    figures = measured("scale.training_memory", *options, out=tmp_path / "memory.json")["30000"]
    assert 0.9 * 30_000 < figures["clicks"] + figures["capped"] <= 30_000
    assert {"read_s", "neighbours_s", "intents_own_mb", "resident_mb"} <= figures.keys()
