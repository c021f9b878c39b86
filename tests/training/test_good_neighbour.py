"""A training run lets the shop go first, and takes no threads for which there is no core."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from django_sessrec.training import good_neighbour
from django_sessrec.training.good_neighbour import allowed_cores, free_cores, give_way, threads_for

TELL = """
import os, sys
import django
from django.conf import settings
settings.configure(SESSREC={"TRAIN_NICENESS": int(sys.argv[1])})
from django_sessrec.training.good_neighbour import give_way
give_way()
only_idle = os.sched_getscheduler(0) == os.SCHED_IDLE
print(os.getpriority(os.PRIO_PROCESS, 0), os.environ.get("OMP_NUM_THREADS", "unset"), only_idle)
"""


SESSION = """
import os, sys
import django
from django.conf import settings
settings.configure(SESSREC={"TRAIN_NICENESS": int(sys.argv[1])})
from django_sessrec.training.good_neighbour import SESSION, give_way

def in_child(work):
    if not (child := os.fork()):
        work()
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)

%s
print(SESSION.read_text("ascii").rpartition(" ")[2])
"""
needs_sessions = pytest.mark.skipif(
    not good_neighbour.SESSION.exists(), reason="needs Linux that shares the cores among sessions (autogroup)"
)


OURS = os.getpriority(os.PRIO_PROCESS, 0)  # which a process may lower only
LOWEST = 19


def told(niceness, *, first="", **environment):
    """Priority and threads of a process that gives way."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(
        [sys.executable, "-c", first + TELL, str(niceness)],
        env=others | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def niceness_of_session(niceness, trains):
    """Of a session whose first process does this."""
    done = subprocess.run(
        [sys.executable, "-c", SESSION % trains, str(niceness)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.fixture
def machine(monkeypatch):
    """machine(cores, free): what the system says; nothing is changed in the tests' own process."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    given = []
    system = SimpleNamespace(
        environ={},
        PRIO_PROCESS=os.PRIO_PROCESS,
        getpriority=lambda *_: 0,
        setpriority=lambda *args: given.append(args),
        getpid=lambda: 1,
        getsid=lambda _: 2,
    )
    monkeypatch.setattr(good_neighbour, "os", system)
    monkeypatch.setattr(good_neighbour, "allowed_cores", lambda: float("inf"))

    def machine(cores, free):
        system.sched_getaffinity = lambda _: set(range(cores))
        monkeypatch.setattr(good_neighbour, "free_cores", lambda _cores: free)
        give_way()
        return system.environ.get("OMP_NUM_THREADS")

    return machine


def test_its_priority_is_lower_and_never_raised():
    lower = min(LOWEST, OURS + 3)
    assert int(told(lower, OMP_NUM_THREADS="1")[0]) == lower
    assert int(told(0, OMP_NUM_THREADS="1")[0]) == OURS
    lowest = "import os; os.setpriority(os.PRIO_PROCESS, 0, 19)\n"
    assert told(0, first=lowest, OMP_NUM_THREADS="1")[0] == "19"


def test_at_the_lowest_priority_it_takes_only_time_that_nobody_wants():
    assert told(19, OMP_NUM_THREADS="1")[2] == "True"
    assert told(18, OMP_NUM_THREADS="1")[2] == str(OURS == LOWEST)


@needs_sessions
@pytest.mark.parametrize(
    ("trains", "niceness"),
    [
        ("give_way()", 19),
        ("in_child(lambda: give_way(parent_only_trains=True))", 19),
        ("in_child(give_way)", 0),  # as from a terminal: the session has other work
        ("in_child(lambda: in_child(lambda: give_way(parent_only_trains=True)))", 0),
    ],
)
def test_a_session_in_which_nothing_else_works_is_lowered_too(trains, niceness):
    assert niceness_of_session(19, trains) == niceness


@needs_sessions
def test_a_session_is_lowered_as_far_as_the_process_and_never_raised():
    lower = min(LOWEST, OURS + 3)
    assert niceness_of_session(lower, "give_way()") == lower
    further = min(LOWEST, lower + 3)
    assert niceness_of_session(lower, f"SESSION.write_text('{further}'); give_way()") == further


def test_a_container_that_forbids_it_keeps_the_niceness(machine, settings):
    settings.SESSREC = settings.SESSREC | {"TRAIN_NICENESS": 19}
    system = good_neighbour.os
    system.SCHED_IDLE, system.sched_param = os.SCHED_IDLE, os.sched_param
    asked = []

    def refused(*policy):
        asked.append(policy)
        raise PermissionError

    system.sched_setscheduler = refused
    machine(2, 2.0)
    assert asked


def test_threads_that_somebody_has_set_stay():
    assert told(0, OMP_NUM_THREADS="7")[1] == "7"


@pytest.mark.parametrize(
    ("cores", "free", "threads"),
    [
        (2, 2.0, None),
        (2, 1.6, None),
        (2, 1.2, "1"),
        (2, 0.1, "1"),
        (16, 15.7, None),
        (16, 4.4, "4"),
        (1, 0, None),
    ],
)
def test_it_takes_the_threads_for_which_there_are_cores(machine, cores, free, threads):
    assert machine(cores, free) == threads


def test_a_container_is_held_to_its_quota():
    assert threads_for(free=16.0, cores=2.0) == 2
    assert threads_for(free=16.0, cores=0.5) == 1


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """groups(own, {group: its cpu.max}): control groups, and which of them is the process's own."""
    folder, named = tmp_path / "cgroup", tmp_path / "own"
    monkeypatch.setattr(good_neighbour, "GROUPS", folder)
    monkeypatch.setattr(good_neighbour, "OWN_GROUP", named)

    def groups(own, quotas):
        if own is not None:
            named.write_text(own)
        for group, quota in quotas.items():
            (folder / group).mkdir(parents=True, exist_ok=True)
            (folder / group / "cpu.max").write_text(quota)

    return groups


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000\n", float("inf")), ("150000 100000\n", 1.5), ("nonsense", float("inf"))],
)
def test_the_quota_is_read_where_there_is_one(groups, quota, cores):
    groups("0::/\n", {"": quota})
    assert allowed_cores() == cores


def test_the_quota_of_a_service_is_its_own_groups_and_no_neighbours(groups):
    quotas = {"": "max 100000", "shop": "800000 100000", "shop/worker": "50000 100000"}
    groups("0::/shop/worker\n", quotas | {"shop/web": "1000 100000"})
    assert allowed_cores() == 0.5


def test_a_group_is_held_to_the_quotas_above_it(groups):
    groups("0::/shop/worker\n", {"": "max 100000", "shop": "200000 100000", "shop/worker": "max 100000"})
    assert allowed_cores() == 2.0


@pytest.mark.parametrize("own", [None, "", "nonsense", "4:cpu:/old\n", "0::/gone\n", "0::/../outside\n"])
def test_where_no_group_is_named_there_is_no_quota(groups, own):
    groups(own, {"old": "1000 100000"})
    assert allowed_cores() == float("inf")


def test_idle_cores_are_counted_among_those_that_the_process_may_use(tmp_path, monkeypatch):
    stat = tmp_path / "stat"
    ticks = os.sysconf("SC_CLK_TCK")
    monkeypatch.setattr(good_neighbour, "STAT", stat)

    def write(*idle):
        lines = [f"cpu{core} 9 9 9 {ticks_idle} 0 0 0 0 0 0" for core, ticks_idle in enumerate(idle)]
        stat.write_text("\n".join(["cpu  9 9 9 999999 0 0 0 0 0 0", *lines, "intr 5"]))

    write(100, 100, 100)
    monkeypatch.setattr(good_neighbour.time, "sleep", lambda _: write(100 + ticks, 100, 100 + 5 * ticks))
    clock = iter([0.0, 1.0])
    monkeypatch.setattr(good_neighbour.time, "monotonic", lambda: next(clock))
    assert free_cores({0, 1}) == 1.0


def test_where_the_system_does_not_tell_all_cores_count_as_free(tmp_path, monkeypatch):
    monkeypatch.setattr(good_neighbour, "STAT", tmp_path / "nothing")
    assert free_cores({0, 1, 2}, seconds=0) == 3.0
