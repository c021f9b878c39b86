"""The supervisor keeps programs running, stops them in order, and leaves nothing behind, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from example_shop.stack.folders import CHECKOUT
from example_shop.stack.processes import carrying
from example_shop.stack.program import Program
from example_shop.stack.supervisor import MARKER, Supervisor
from tests.support.processes import command_line

# Says that it runs, starts a child that ignores what it can, and says when it is asked to stop.
STAND_IN = """
import pathlib, signal, subprocess, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def write(word):
    with (folder / "events").open("a") as events:
        events.write(f"{name} {word}\\n")
def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one that is slow to go is asked again
    write("stops")
    sys.exit()
signal.signal(signal.SIGTERM, stop)
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", stubborn])
print(name, "speaks", flush=True)
write("runs")
time.sleep(600)
"""
SUPERVISE = """
import pathlib, sys
from tests.stack.test_supervisor import note, stand_in
from example_shop.stack.supervisor import Supervisor
folder = pathlib.Path(sys.argv[1])
try:
    with Supervisor(folder) as supervisor:
        supervisor.start(stand_in("database", folder))
        supervisor.start(stand_in("web", folder), stand_in("worker", folder))
        note(folder, "supervisor watches")
        supervisor.watch()
except KeyboardInterrupt:
    print("stopped in order", flush=True)
"""


def stand_in(name: str, folder: Path) -> Program:
    return Program(
        name,
        [sys.executable, "-c", STAND_IN, name, folder],
        log=folder / f"{name}.log",
        answers=lambda: f"{name} runs" in events(folder),
    )


def note(folder: Path, event: str) -> None:
    with (folder / "events").open("a") as file:
        file.write(f"{event}\n")


def events(folder: Path) -> list[str]:
    path = folder / "events"
    return path.read_text().splitlines() if path.exists() else []


def supervise(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SUPERVISE, folder]
    return subprocess.Popen(
        command,
        cwd=CHECKOUT,
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )


def wait_for(folder: Path, *expected: str) -> None:
    deadline = time.monotonic() + 300
    while not set(expected) <= set(events(folder)):
        assert time.monotonic() < deadline, f"{expected} are not all in {events(folder)}"
        time.sleep(0.02)


@pytest.fixture
def supervised(tmp_path):
    """Yield a supervisor's process that runs three stand-ins, and the folder of their state."""
    process = supervise(tmp_path)
    try:
        wait_for(tmp_path, "supervisor watches")
        yield process, tmp_path
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        with Supervisor(tmp_path):  # ends what is left
            assert carrying(MARKER, str(tmp_path)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_stops_the_last_group_first(supervised, number):
    process, folder = supervised
    process.send_signal(number)
    output, _ = process.communicate(timeout=300)
    stops = [event for event in events(folder) if event.endswith("stops")]
    assert set(stops[:2]) == {"web stops", "worker stops"}
    assert stops[2:] == ["database stops"]
    assert "stopped in order" in output
    assert carrying(MARKER, str(folder)) == []


def test_it_shows_what_programs_write(supervised):
    process, _ = supervised
    process.terminate()
    output, _ = process.communicate(timeout=300)
    assert "web | web speaks" in output


def test_a_killed_program_starts_again_without_the_children_it_left(supervised):
    process, folder = supervised
    before = carrying(MARKER, str(folder))
    [web] = [pid for pid in before if is_stand_in(pid, "web")]
    left = os.getpgid(web)
    (folder / "events").unlink()
    os.kill(web, signal.SIGKILL)
    wait_for(folder, "web runs")
    assert [pid for pid in carrying(MARKER, str(folder)) if os.getpgid(pid) == left] == []
    process.terminate()
    output, _ = process.communicate(timeout=300)
    assert "web stopped; it starts again in 0.5 s" in output


def test_a_killed_supervisor_is_followed_by_one_that_starts(supervised):
    process, folder = supervised
    process.kill()
    process.wait()
    (folder / "events").unlink()
    successor = supervise(folder)
    wait_for(folder, "database runs", "web runs", "worker runs")
    assert len([pid for pid in carrying(MARKER, str(folder)) if is_stand_in(pid, "web")]) == 1
    successor.terminate()
    successor.communicate(timeout=300)


def test_two_do_not_supervise_one_folder(supervised):
    process, folder = supervised
    with pytest.raises(RuntimeError, match=f"in use by process {process.pid}: stop that first"):
        Supervisor(folder).__enter__()


def test_a_program_that_keeps_failing_is_tried_ever_more_rarely(tmp_path, capsys):
    command = [sys.executable, "-c", "import time; time.sleep(0.1)"]
    shown = []

    def tried_three_times() -> bool:
        shown.append(capsys.readouterr().out)
        return "starts again in 2 s" in shown[-1]

    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Program("broken", command, log=tmp_path / "broken.log"))
        supervisor.watch(until=tried_three_times)
    delays = [line.split("again in ")[1].split(" s ")[0] for line in "".join(shown).splitlines()]
    assert delays == ["0.5", "1", "2"]


def test_a_program_that_does_not_start_shows_its_last_words(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no such table')"]
    broken = Program("broken", command, log=tmp_path / "broken.log", answers=lambda: False)
    with pytest.raises(RuntimeError, match=r"broken stopped at once(.|\n)*no such table"):
        broken.start()


def is_stand_in(pid: int, name: str) -> bool:
    return f"\0{name}\0".encode() in command_line(pid)
