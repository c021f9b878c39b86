"""Click files for imports."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

NOW = datetime.now(UTC).replace(microsecond=0)
YESTERDAY = int((NOW - timedelta(days=1)).timestamp())


def write(path: Path, *lines: str, header: str = "session_id,item_id,time", encoding: str = "utf-8") -> Path:
    """Write the lines below the header."""
    path.write_text("\n".join([header, *lines, ""]), encoding=encoding)
    return path
