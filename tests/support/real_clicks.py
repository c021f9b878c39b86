"""Where the public click data lies that some tests are run on; it is not ours to ship."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("SESSREC_DATA", Path(__file__).parents[3] / "shared" / "data"))


def real_clicks(name: str) -> Path:
    """The dataset's folder; the test is skipped where it is not there."""
    folder = FOLDER / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not there: name the folder that holds it in SESSREC_DATA")
    return folder
