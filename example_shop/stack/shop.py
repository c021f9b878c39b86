"""`make shop`: from an empty checkout to a shop one can click through, in numbered steps."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from ..state import stream_url
from . import named_database
from .console import say, step
from .folders import CHECKOUT, STATE, own_folder
from .postgres import Postgres
from .processes import die_with_parent, tied_to_parent
from .program import Program
from .supervisor import MARKER, Supervisor
from .valkey import Valkey

HOST = "127.0.0.1"
PORT = 8000
LAST_PORT = 65_535
ENTRANCE = """
    The shop      {url}/
    Its admin     {url}/admin/     user admin, password admin
    Logs          {logs}

    Open three products of two kinds: the recommendations follow each click.
    Open a private window and one product: a visitor nobody knows gets sensible ones too.
    Decline in the banner: the list stays full, without a row, and the only cookie holds your answer.
    Look at the admin while you click: impressions, clicks, and a network in training in a few minutes.
    Sign in there in another browser or a private window: what signed-in staff click is not captured.
    Send it visitors: .venv/bin/python -m example_shop.manage simulate_traffic --url {url}

    Ctrl-C stops everything and keeps the data; `make clean` removes it.
"""


@dataclass(frozen=True)
class Step:
    """One management command on the way, and whether it was finished before: by what it writes last."""

    title: str
    command: tuple[str, ...]
    done: Callable[[], bool] = lambda: False


STEPS = [
    Step("Prepare the database", ("migrate",)),
    Step("Fill the catalogue", ("fill_shop",), done=lambda: has_rows("shop_product")),
    Step(
        "Bring in five weeks of simulated visits",
        ("simulate_history", "--days", "35", "--sessions-per-day", "300"),
        done=lambda: has_rows("sessrec_event"),
    ),
    # The net takes minutes: the training worker sees that it is due, and the shop need not wait for it.
    Step("Train the neighbours", ("sessrec_train", "neighbours"), done=lambda: has_rows("sessrec_promotion")),
    Step("Put today's new products on the shelves", ("new_arrivals",)),  # which no model knows yet
    Step("Show these visits their lists", ("simulate_lists",), done=lambda: has_rows("sessrec_experiment")),
    Step("Count the figures", ("sessrec_rollup",)),  # of the days that are due
    Step("Collect static files", ("collectstatic", "--no-input", "--verbosity", "0")),
]


def run_shop() -> None:
    """Start everything, show where to look, and keep it running until Ctrl-C."""
    if "MAKELEVEL" in os.environ:  # make can be killed without a word to what it runs
        die_with_parent(signal.SIGTERM)
    port = shop_port()
    state = own_folder(STATE)
    os.environ["SESSREC_STATE"] = str(state)
    logs = state / "logs"
    total = len(STEPS) + 2
    with Supervisor(state) as supervisor:
        require_free(port)
        for line in named_services():
            say(line)
        servers = services(logs)
        with step(1, total, f"Start {' and '.join(each.name.title() for each in servers) or 'no server'}"):
            supervisor.start(*servers)
        for number, each in enumerate(STEPS, start=2):
            if each.done():
                say(f"[{number}/{total}] {each.title}: done before")
            else:
                with step(number, total, each.title):
                    manage(*each.command)
        with step(total, total, "Start web server, workers and beat"):
            supervisor.start(*shop_programs(state, port, stream=stream_url() is not None))
        say(ENTRANCE.format(url=f"http://{HOST}:{port}", logs=logs.relative_to(CHECKOUT)))
        supervisor.watch()


def named_services() -> list[str]:
    """Return what is used because the environment names it; raise where that isn't the shop's."""
    lines = []
    if url := os.environ.get("DATABASE_URL"):
        lines.append(f"Using the database of DATABASE_URL: {named_database.examine(url)}")
    if os.environ.get("BROKER_URL"):
        lines.append("Using the broker of BROKER_URL")
    return lines


def services(logs: Path) -> list[Program]:
    """Return Postgres and Valkey, but for the one that the environment already names; tell Django."""
    programs: list[Program] = []
    if not os.environ.get("DATABASE_URL"):
        postgres = Postgres(log=logs / "postgres.log")
        os.environ["DATABASE_URL"] = postgres.url
        programs.append(postgres)
    if not os.environ.get("BROKER_URL"):
        valkey = Valkey(log=logs / "valkey.log")
        os.environ["BROKER_URL"] = valkey.url
        programs.append(valkey)
    return programs


def shop_programs(state: Path, port: int, *, stream: bool = False) -> list[Program]:
    """Return the web server, the worker for capture and upkeep, the one for training, and beat.

    stream: with the consumer of SESSREC["STREAM_URL"]
    """
    logs = state / "logs"

    def program(name: str, *arguments: str, answers: Callable[[], bool] = lambda: True) -> Program:
        command = [sys.executable, "-m", *arguments]
        environment = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser"}
        return Program(name, command, log=logs / f"{name}.log", environment=environment, answers=answers)

    celery = ("celery", "--quiet", "--app", "example_shop.celery:app")
    quiet = ("--loglevel", "WARNING")
    worker = ("worker", "--without-gossip", "--without-mingle")
    return [
        program(
            "web",
            *("granian", "--interface", "wsgi", "--host", HOST, "--port", str(port), "--workers", "2"),
            # Each thread keeps a database connection, and Postgres has 100.
            *("--blocking-threads", "4", "--backpressure", "16", "--respawn-failed-workers"),
            *("--static-path-mount", str(state / "static"), "--static-path-expires", "60"),
            *("--log-level", "warning", "example_shop.wsgi:application"),
            answers=lambda: responds(port),
        ),
        program("capture", *celery, *worker, *quiet, "--hostname", "capture@%h", "--concurrency", "2"),
        # One training at a time, each in a fresh process: torch's memory goes with it.
        program(
            "train",
            *celery,
            *worker,
            *("--loglevel", "INFO", "--hostname", "train@%h", "--queues", "train"),
            *("--concurrency", "1", "--max-tasks-per-child", "1", "--prefetch-multiplier", "1"),
        ),
        *([program("consumer", "example_shop.manage", "sessrec_consume")] if stream else []),
        # An empty pid file name: the one of a killed beat would stop the next.
        program("beat", *celery, "beat", *quiet, "--pidfile", "", "--schedule", str(state / "beat")),
    ]


def manage(*arguments: str) -> None:
    """Run a management command with its output on the terminal."""
    command = [sys.executable, "-m", "example_shop.manage", *arguments]
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, MARKER: os.environ["SESSREC_STATE"]},
        start_new_session=True,
        preexec_fn=tied_to_parent(signal.SIGTERM),
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"`manage.py {' '.join(arguments)}` failed with status {done.returncode}, see above"
        )


def has_rows(table: str) -> bool:
    """Say whether there is anything in a table of the shop's database."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return named_database.has_rows(connection, table)


def shop_port() -> int:
    """The port that SHOP_PORT names, else PORT; raises with the remedy where it names none."""
    named = os.environ.get("SHOP_PORT") or str(PORT)
    if named.isdecimal() and 0 < int(named) <= LAST_PORT:
        return int(named)
    raise RuntimeError(f"SHOP_PORT={named!r} is not a port from 1 to {LAST_PORT}: {_try_another(PORT)}")


def require_free(port: int) -> None:
    """Raise with the remedy when the port is taken, or not for this user."""
    if problem := _cannot_use(port):
        raise RuntimeError(f"Port {port} can't be used ({problem}): {_try_another(port + 1)}")


def _try_another(port: int) -> str:
    """The command with this port, or if it can't be used with the first from PORT on that can."""
    free = next(each for each in (port, *range(PORT, LAST_PORT + 1)) if not _cannot_use(each))
    return f"try `SHOP_PORT={free} make shop`"


def _cannot_use(port: int) -> str:
    """Why this user can't listen on the port now; empty if they can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OverflowError:
            return f"the last one is {LAST_PORT}"
        except OSError as error:
            return error.strerror or str(error)
    return ""


def responds(port: int) -> bool:
    """Say whether the shop's front page answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < http.client.INTERNAL_SERVER_ERROR
    except OSError:
        return False
    finally:
        connection.close()
