"""Where the stack keeps its data: in the checkout where it can, under /var/tmp where it must."""

import hashlib
import os
import shutil
from pathlib import Path

from .processes import exists

CHECKOUT = Path(__file__).resolve().parents[2]
STATE = CHECKOUT / ".state"

# A socket's path is kept in 108 bytes with a zero at the end. This is the longest one below a service folder.
# A test that starts servers of its own gives them a folder of at most eight letters.
LONGEST_SOCKET = "test-4194304/12345678/postgres-18/.s.PGSQL.5432"
SOCKET_PATH_BYTES = 107


def service_folder(checkout: Path = CHECKOUT) -> Path:
    """Make the folder of Postgres and Valkey: `.state`, or one that a socket path and `nobody` can reach.

    As root Postgres runs as `nobody`, who can't enter a checkout below /root.
    """
    nearby = checkout / ".state"
    if os.geteuid() != 0 and len(os.fsencode(nearby / LONGEST_SOCKET)) <= SOCKET_PATH_BYTES:
        return own_folder(nearby)
    digest = hashlib.sha256(os.fsencode(checkout)).hexdigest()[:10]
    return own_folder(Path("/var/tmp") / f"sessrec-{os.geteuid()}-{digest}")


def scratch_folder() -> Path:
    """Make the folder for servers that live no longer than this process."""
    return own_folder(service_folder() / f"test-{os.getpid()}")


def remove_abandoned_scratch() -> None:
    """Remove the scratch folders of processes that were killed before they could do it themselves."""
    for folder in service_folder().glob("test-*"):
        if not exists(int(folder.name.removeprefix("test-"))):
            shutil.rmtree(folder, ignore_errors=True)


def own_folder(path: Path) -> Path:
    """Make a folder that only its owner can change, and refuse one that somebody else put there."""
    path.mkdir(exist_ok=True)
    found = path.lstat()
    if path.is_symlink() or found.st_uid != os.geteuid():
        raise PermissionError(
            f"{path} belongs to user {found.st_uid}, and this is user {os.geteuid()}: "
            "run as its owner, or delete it"
        )
    path.chmod(0o755)
    return path
