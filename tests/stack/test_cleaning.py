"""`make clean` removes the data for good, and only while nothing writes there."""

import subprocess
import sys

import pytest

from example_shop.stack import cleaning
from example_shop.stack.cleaning import remove_data
from example_shop.stack.supervisor import MARKER, Supervisor

# A worker whose supervisor was killed: it finishes what it does before it goes.
WORKER = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
artifacts = pathlib.Path(sys.argv[1]) / "artifacts"
while True:
    artifacts.mkdir(parents=True, exist_ok=True)
    print("works", flush=True)
    time.sleep(0.01)
"""


@pytest.fixture
def state(tmp_path, monkeypatch):
    """The shop's state, and the folder of its servers."""
    monkeypatch.setattr(cleaning, "STATE", tmp_path / ".state")
    monkeypatch.setattr(cleaning, "service_folder", lambda: tmp_path / ".state")
    return tmp_path / ".state"


def test_what_outlives_a_killed_shop_is_ended_first(state):
    command = [sys.executable, "-c", WORKER, state]
    with subprocess.Popen(command, env={MARKER: str(state)}, stdout=subprocess.PIPE) as worker:
        try:
            worker.stdout.readline()
            remove_data()
            assert worker.poll() is not None
        finally:
            worker.kill()
    assert not state.exists()


def test_a_running_shop_keeps_its_data(state):
    state.mkdir()
    with Supervisor(state), pytest.raises(RuntimeError, match="stop that first"):
        remove_data()
    assert state.exists()
