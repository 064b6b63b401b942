"""Pooler: a PgBouncer of a test's own, in front of the suite's PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers.ports import answers, free_port
from tests.support.servers.process import ServerMissingError, ServerProcess

#: Another PgBouncer than the one on PATH, for example `chroot /opt/trixie pgbouncer`.
PROGRAM = os.environ.get("AIRY_TEST_PGBOUNCER", "pgbouncer")

CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 500
query_wait_timeout = 20
{more}
"""


class Pooler:
    """One PgBouncer process in front of a server that takes `user` without a password."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str,
        port: int,
        user: str,
        mode: str = "transaction",
        size: int = 10,
        more: str = "",
    ) -> None:
        program, *arguments = PROGRAM.split()
        if not shutil.which(program):
            raise ServerMissingError("no pgbouncer on PATH")
        self.port = free_port()
        file = folder / "pgbouncer.ini"
        file.write_text(
            CONFIGURATION.format(host=host, port=port, user=user, listen=self.port, mode=mode, size=size, more=more)
        )
        file.chmod(0o644)
        root = arguments[0] if program == "chroot" else ""
        if root:  # it sees no other files
            file = Path(shutil.copy(file, f"{root}/tmp/pgbouncer_{self.port}.ini"))
        self._copy = file if root else None
        as_user = ("-u", "postgres") if os.geteuid() == 0 else ()
        seen = Path("/") / file.relative_to(root) if root else file
        for parent in list(folder.parents)[:-1]:
            if os.geteuid() == 0 and parent != Path("/tmp"):
                parent.chmod(parent.stat().st_mode | 0o011)  # its user must get through
        folder.chmod(folder.stat().st_mode | 0o011)
        self._process = ServerProcess([program, *arguments, *as_user, str(seen)], log=folder / "pgbouncer.log")
        self._process.wait_until(lambda: answers(self.port), within=20)

    def url(self, database: str) -> str:
        """The address of a database behind it, as DATABASE_URL takes it."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def end(self) -> None:
        self._process.end(signal.SIGINT, within=10)
        if self._copy is not None:
            self._copy.unlink()


@contextmanager
def running_pooler(folder: Path, **options: object) -> Iterator[Pooler]:
    """A started pooler, ended on leaving. Raises ServerMissingError."""
    folder.mkdir(parents=True, exist_ok=True)
    pooler = Pooler(folder, **options)  # type: ignore[arg-type]
    try:
        yield pooler
    finally:
        pooler.end()
