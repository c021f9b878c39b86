"""`python -m example_shop.stack`: what people type, through make or by hand."""

import os
import socket
import subprocess
import sys

import psycopg
import pytest

from example_shop.stack.folders import CHECKOUT, remove_abandoned_scratch, scratch_folder
from example_shop.stack.shop import has_rows, require_free, services

ASK_BOTH = """
import os, psycopg, kombu
print(psycopg.connect(os.environ["DATABASE_URL"]).execute("SELECT 'rows'").fetchone()[0])
with kombu.Connection(os.environ["BROKER_URL"]) as broker:
    print("broker" if broker.default_channel.client.ping() else "no broker")
raise SystemExit(7)
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


def test_a_busy_port_is_named_with_the_remedy():
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"Port {port} .* try `SHOP_PORT={port + 1} make shop`"):
            require_free(port)


def test_servers_that_the_environment_names_are_used_and_none_started(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example.com/shop")
    monkeypatch.setenv("BROKER_URL", "redis://broker.example.com")
    assert services(tmp_path) == []


def test_the_shop_sees_whether_a_step_was_done(postgres, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", postgres.url)
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE visit ()")
    assert not has_rows("visit")
    with psycopg.connect(postgres.url) as connection:
        connection.execute("INSERT INTO visit DEFAULT VALUES")
    assert has_rows("visit")


def test_scratch_of_a_killed_process_is_removed():
    abandoned = scratch_folder().with_name("test-4194305")  # above the largest process number there is
    abandoned.mkdir()
    remove_abandoned_scratch()
    assert not abandoned.exists()
    assert scratch_folder().exists()
