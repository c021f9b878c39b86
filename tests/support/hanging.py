"""Servers and tables that hang, and are let go in any case."""

import re
import shutil
import signal
import threading
from contextlib import contextmanager

import psycopg

from example_shop.stack.folders import own_folder, scratch_folder
from example_shop.stack.postgres import Postgres
from tests.support.processes import children, kill

# Far above what is promised, so that a busy machine fails no test, and far below a wait without bound.
SLACK = 12.0
RELEASED_AFTER = 40.0  # seconds: a wait without bound ends, and fails its test


@contextmanager
def own_server(name):
    """A Postgres that tests may hang, in a folder of at most eight letters."""
    folder = own_folder(scratch_folder() / name)
    postgres = Postgres(folder, durable=False)
    postgres.start()
    yield postgres
    postgres.stop()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def frozen(program):
    """The program hangs: it takes connections, for the kernel does, and never answers."""
    stopped = [program.pid]
    with released(lambda: kill(*stopped, by=signal.SIGCONT)):
        kill(program.pid, by=signal.SIGSTOP)  # first, so that it starts no more children
        stopped += children(program.pid)
        kill(*stopped, by=signal.SIGSTOP)
        yield


@contextmanager
def locked(server, *tables):
    """Tables that somebody has locked, as a migration does."""
    with psycopg.connect(server.url) as other:
        for table in tables:
            other.execute(f"LOCK TABLE sessrec_{table} IN ACCESS EXCLUSIVE MODE")
        with released(other.rollback):
            yield


def waited_for(server, start=0):
    """Our tables that a statement waited for, by the server's log of who waits for a lock from `start` on."""
    relations = re.findall(r"still waiting for \w+ on relation (\d+)", server.log.read_text()[start:])
    with psycopg.connect(server.url) as other:
        names = other.execute("SELECT relname FROM pg_class WHERE oid = ANY(%s::oid[])", [relations])
        return {name.removeprefix("sessrec_") for (name,) in names}


@contextmanager
def released(release):
    """Release at the end, or after RELEASED_AFTER."""
    timer = threading.Timer(RELEASED_AFTER, release)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        release()
