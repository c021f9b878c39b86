"""The benchmark of the figures measures what it says, on a small shop."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_few_days_are_filled_rolled_up_compared_and_read(tmp_path):
    out = tmp_path / "kpis.json"
    command = [sys.executable, "-m", "benchmarks.kpis", "--lists", "2000", "4000", "--days", "3"]
    done = subprocess.run(
        [*command, "--repeats", "2", "--out", str(out)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert set(figures) == {"2000", "4000"}
    for each in figures.values():
        assert each["rollup_equals_raw"] is True
        assert {"rollup_s", "today_ms_p50", "report_ms_p50"} <= set(each)
