"""Benchmarks run as the programs that they are."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]


def ended(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`python -m benchmarks.NAME arguments`, once it has ended in one way or another."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)


def printed(name: str, *arguments: str | Path) -> str:
    """What a benchmark that ended well has printed."""
    done = ended(name, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def measured(name: str, *arguments: str | Path, out: Path) -> Any:
    """What it has written into the file."""
    printed(name, *arguments, "--out", out)
    return json.loads(out.read_text())
