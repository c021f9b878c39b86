"""`python -m example_shop.stack`: what people type, through make or by hand."""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from example_shop.stack.folders import CHECKOUT, remove_abandoned_scratch, scratch_folder
from example_shop.stack.shop import has_rows, manage, named_services, require_free, services, shop_port
from example_shop.stack.supervisor import MARKER

ASK_BOTH = """
import os, psycopg, kombu
print(psycopg.connect(os.environ["DATABASE_URL"]).execute("SELECT 'rows'").fetchone()[0])
with kombu.Connection(os.environ["BROKER_URL"]) as broker:
    print("broker" if broker.default_channel.client.ping() else "no broker")
raise SystemExit(7)
"""
# As root, under the number of an ordinary user.
ASK_FOR_PORT_7 = """
import os
from example_shop.stack.shop import require_free
os.geteuid() or os.seteuid(65534)
require_free(7)
"""


def test_services_runs_a_command_beside_servers_of_its_own():
    done = subprocess.run(
        [sys.executable, "-m", "example_shop.stack", "services", sys.executable, "-c", ASK_BOTH],
        cwd=CHECKOUT,
        env={name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "BROKER_URL"}},
        capture_output=True,
        text=True,
    )
    assert (done.stdout.split(), done.stderr, done.returncode) == (["rows", "broker"], "", 7)


def remedy(error: str) -> int:
    """The port of the command that an error advises."""
    return int(error.partition("try `SHOP_PORT=")[2].removesuffix(" make shop`"))


def test_a_busy_port_is_named_with_the_remedy():
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"Port {port} can't be used") as refused:
            require_free(port)
        require_free(remedy(str(refused.value)))


def test_after_the_last_port_an_earlier_one_is_advised():
    with socket.socket() as busy:
        with suppress(OSError):  # somebody else's server is as good
            busy.bind(("127.0.0.1", 65_535))
            busy.listen()
        with pytest.raises(RuntimeError) as refused:
            require_free(65_535)
        require_free(remedy(str(refused.value)))


def test_instead_of_a_port_of_roots_one_is_advised_that_anybody_may_use():
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 7:
        pytest.skip("anybody may use any port here")
    done = subprocess.run(
        [sys.executable, "-c", ASK_FOR_PORT_7], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert "Port 7 can't be used (Permission denied)" in done.stderr
    assert remedy(done.stderr.splitlines()[-1]) >= 8000


@pytest.mark.parametrize("port", ["abc", "0", "-1", "70000", "8000.5"])
def test_what_is_no_port_is_named_with_the_remedy(monkeypatch, port):
    monkeypatch.setenv("SHOP_PORT", port)
    with pytest.raises(RuntimeError, match=f"SHOP_PORT='{port}' is not a port") as refused:
        shop_port()
    require_free(remedy(str(refused.value)))


@pytest.mark.parametrize("port", [None, ""])
def test_without_a_port_it_is_8000(monkeypatch, port):
    monkeypatch.delenv("SHOP_PORT", raising=False)
    if port is not None:
        monkeypatch.setenv("SHOP_PORT", port)
    assert shop_port() == 8000


def test_servers_that_the_environment_names_are_used_and_none_started(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example.com/shop")
    monkeypatch.setenv("BROKER_URL", "redis://broker.example.com")
    assert services(tmp_path) == []


def test_it_says_which_servers_of_the_environment_it_uses(postgres, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", postgres.url)
    monkeypatch.setenv("BROKER_URL", "redis://:geheim@broker.example.com")
    database, broker = named_services()
    assert database == f"Using the database of DATABASE_URL: 'sessrec' on {postgres.folder}, as 'sessrec'"
    assert broker == "Using the broker of BROKER_URL"
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("BROKER_URL", "")
    assert named_services() == []


def test_the_shop_sees_whether_a_step_was_done(postgres, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", postgres.url)
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE visit ()")
    assert not has_rows("visit")
    with psycopg.connect(postgres.url) as connection:
        connection.execute("INSERT INTO visit DEFAULT VALUES")
    assert has_rows("visit")


def test_the_command_of_a_step_carries_the_mark_by_which_leftovers_are_ended(monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("SESSREC_STATE", str(tmp_path))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "example_shop.settings")
    manage("shell", "--no-startup", "--command", f"import os; print('mark', os.environ['{MARKER}'])")
    assert f"mark {tmp_path}" in capfd.readouterr().out


def test_scratch_of_a_killed_process_is_removed():
    abandoned = scratch_folder().with_name("test-4194305")  # above the largest process number there is
    abandoned.mkdir()
    remove_abandoned_scratch()
    assert not abandoned.exists()
    assert scratch_folder().exists()
