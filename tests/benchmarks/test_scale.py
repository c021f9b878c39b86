import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.scale.zipf import draw

ROOT = Path(__file__).parents[2]


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


def test_the_whole_way_is_measured_at_each_size_with_its_growth(tmp_path):
    out = tmp_path / "scale.json"
    command = [sys.executable, "-m", "benchmarks.scale", "--items", "500", "--clicks", "12000", "24000"]
    done = subprocess.run(
        [*command, "--models", "neighbours", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert set(figures) == {"12000", "24000", "growth"}
    expected = {
        "import_s",
        "read_s",
        "files_made_s",
        "files_again_s",
        "neighbours_fit_s",
        "neighbours_load_s",
        "neighbours_query_us_p90",
    }
    assert expected <= set(figures["growth"])
    assert figures["growth"]["sessions"] == figures["24000"]["sessions"] / figures["12000"]["sessions"]
    assert figures["24000"]["clicks"] > 20_000
