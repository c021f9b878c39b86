"""A fresh Postgres and Valkey for the time of one command: for benchmarks and trying things out."""

import os
import shutil
import subprocess

from .folders import remove_abandoned_scratch, scratch_folder
from .postgres import Postgres
from .valkey import Valkey


def run_with_services(command: list[str]) -> int:
    """Run the command beside new servers with the shop's own settings, and return its exit status."""
    remove_abandoned_scratch()
    folder = scratch_folder()
    postgres, valkey = Postgres(folder), Valkey(folder)
    try:
        postgres.start()
        valkey.start()
        environment = {**os.environ, "DATABASE_URL": postgres.url, "BROKER_URL": valkey.url}
        return subprocess.run(command, env=environment).returncode
    finally:
        valkey.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
