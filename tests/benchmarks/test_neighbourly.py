import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_fit_beside_a_loaded_shop_is_measured_against_both_alone(tmp_path):
    out = tmp_path / "neighbourly.json"
    command = [sys.executable, "-m", "benchmarks.neighbourly", "--items", "500", "--sessions", "2000"]
    done = subprocess.run(
        [*command, "--seconds", "2", "--rounds", "1", "--load", "0.1", "--niceness", "0", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    ratios = {"fit_share", "page_p90_ratio", "page_p50_ratio"}
    assert ratios | {f"{name}_as_before" for name in ratios} <= figures.keys()
    assert all(figures[name] > 0 for name in ratios)
    assert 0 < figures["rate"] < figures["capacity"]
    assert figures["beside"]["targets_per_s"] > 0
