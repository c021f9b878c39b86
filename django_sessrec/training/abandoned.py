"""What a killed process has left half-written on this host's disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

ABANDONED_SECONDS: Final = 3_600


def is_abandoned(path: Path) -> bool:
    """Whether nobody has written there for ABANDONED_SECONDS; False where it was finished as we looked."""
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except FileNotFoundError:
        return False
