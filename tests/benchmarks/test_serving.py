import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_calls_of_pages_and_of_the_steps_of_a_list_are_counted(tmp_path):
    out = tmp_path / "calls.json"
    command = [sys.executable, "-m", "benchmarks.serving.calls", "--items", "300", "--sessions", "2000"]
    done = subprocess.run(
        [*command, "--requests", "5", "--intents", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    pages = figures["pages"]
    assert pages["bare_session"]["statements"] == pages["plain_session"]["statements"] - 1  # the view's row
    for kind, statements in {"contextual": 1, "session": 2}.items():  # the products; and the session's events
        assert figures["added"][f"tagged_{kind}"]["statements"] == statements
        assert figures["added"][f"tagged_{kind}"]["calls"] > 0
    assert figures["stages"].keys() == {"visit_of", "placement_for", "choose", "remember", "render"}
