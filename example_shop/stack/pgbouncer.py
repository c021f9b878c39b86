"""A PgBouncer before a Postgres, where the machine has one: the pooler that most shops use."""

import pwd
import shutil
import socket
from pathlib import Path

from .postgres import DATABASE, Postgres
from .program import Program

BINARY = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


class PgBouncer(Program):
    """Transaction pooling on a Unix socket in the folder of its Postgres."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.folder = postgres.folder
        self.settings = self.folder / "pgbouncer.ini"
        command = [BINARY or "", self.settings]
        super().__init__("pgbouncer", command, log=postgres.log, answers=self.is_ready, talkative=False)
        self.working_folder = self.folder

    @property
    def port(self) -> str:
        return "6432"

    def account(self) -> pwd.struct_passwd | None:
        return self.postgres.account()

    def prepare(self) -> None:
        users = self.folder / "users.txt"
        users.write_text(f'"{DATABASE}" ""\n')
        self.settings.write_text(
            f"""[databases]
* = host={self.folder}
[pgbouncer]
listen_addr =
unix_socket_dir = {self.folder}
listen_port = {self.port}
auth_type = trust
auth_file = {users}
pool_mode = transaction
ignore_startup_parameters = extra_float_digits
server_login_retry = 1
"""
        )
        for path in (users, self.settings):
            path.chmod(0o644)

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(Path(self.folder) / f".s.PGSQL.{self.port}"))
            except OSError:
                return False
        return True
