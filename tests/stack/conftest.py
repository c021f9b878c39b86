"""Folders for servers of a test's own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres


@pytest.fixture
def server_folder() -> Path:
    """Return a folder with a short path that `nobody` may enter, which pytest's tmp_path is not."""
    folder = Path(tempfile.mkdtemp(dir=scratch_folder(), prefix=""))
    folder.chmod(0o755)
    return folder


@pytest.fixture
def postgres(server_folder: Path) -> Iterator[Postgres]:
    """Start a Postgres of the test's own, one that a test may kill."""
    server = Postgres(server_folder)
    server.start()
    yield server
    server.stop()
