"""The example shop as `make shop` runs it, on servers, a port and a folder of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from .folders import CHECKOUT, own_folder, scratch_folder
from .postgres import Postgres
from .program import Program
from .shop import HOST, shop_programs
from .supervisor import Supervisor
from .valkey import Valkey

MANAGE = """
import sys, django
from django.core.management import call_command
django.setup()
for line in sys.argv[1:]:
    call_command(*line.split())
"""


class RunningShop:
    """The shop's address, its database, its programs by name, and who keeps them running."""

    def __init__(self, folder: Path, settings: str, *, stream: bool = False, **environment: str) -> None:
        self.folder = folder
        self.supervisor = Supervisor(folder)
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.postgres = Postgres(folder, durable=False)
        self.valkey = Valkey(folder)
        self.environment = {
            "DATABASE_URL": self.postgres.url,
            "BROKER_URL": self.valkey.url,
            "SESSREC_STATE": str(folder),
            "DJANGO_SETTINGS_MODULE": settings,
            **environment,
        }
        if stream:
            self.environment["STREAM_URL"] = self.valkey.stream_url
        self.programs = {program.name: program for program in shop_programs(folder, self.port, stream=stream)}

    def manage(self, *lines: str) -> None:
        """Run management commands, one after the other, in one process."""
        subprocess.run(
            [sys.executable, "-c", MANAGE, *lines],
            cwd=CHECKOUT,
            env={**os.environ, **self.environment},
            check=True,
        )

    def rows(self, query: str, parameters: Sequence[Any] = (), *, url: str = "") -> list[tuple[Any, ...]]:
        """What a query answers, in the shop's database or in the one of `url`."""
        with psycopg.connect(url or self.postgres.url) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def count(self, table: str) -> int:
        [(count,)] = self.rows(f"SELECT count(*) FROM {table}")
        return count


@contextmanager
def running_shop(
    settings: str,
    programs: Sequence[str],
    prepare: Sequence[str],
    *,
    servers: Sequence[Program] = (),
    stream: bool = False,
    **environment: str,
) -> Iterator[RunningShop]:
    """Start Postgres, Valkey and `servers`, run the commands of `prepare`, start the named programs.

    All of it is stopped at the end.
    """
    folder = own_folder(scratch_folder() / settings.split(".")[-2])
    shop = RunningShop(folder, settings, stream=stream, **environment)
    with shop.supervisor as supervisor:
        supervisor.start(shop.postgres, shop.valkey, *servers)
        shop.manage("migrate --verbosity 0", *prepare, "collectstatic --no-input --verbosity 0")
        for name in programs:
            shop.programs[name].environment |= shop.environment
        supervisor.start(*(shop.programs[name] for name in programs))
        yield shop


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
