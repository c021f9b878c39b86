"""Web server, worker, broker and Postgres are each killed under load: everything sent is in the tables."""

import json
import subprocess
import sys

import pytest

from example_shop.stack.folders import CHECKOUT

pytestmark = pytest.mark.chaos
DIRECT = "CONN_MAX_AGE 60"


def test_nothing_is_lost_when_everything_is_killed_once(tmp_path):
    report = tmp_path / "chaos.json"
    command = ("benchmarks.chaos", "--set-ups", DIRECT, "--once", "--pace", "1.5", "--out", str(report))
    done = subprocess.run([sys.executable, "-m", *command], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-5_000:]
    found = json.loads(report.read_text())[DIRECT]
    assert (found["lost"], found["http_5xx"], found["stored_twice"]) == (0, 0, 0)
    accounted = ("stored", "duplicate", "failed", "refused", "refused_lost")
    assert found["sent"] == sum(found[each] for each in accounted)
    assert found["stored"] > 0
    assert found["refused"] > 0
