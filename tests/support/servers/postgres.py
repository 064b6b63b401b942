"""Cluster: a PostgreSQL of a test's own, durable, that may be restarted at any time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.support.servers.ports import free_port
from tests.support.servers.process import ServerMissingError

DATABASE = "airy"


def programs() -> Path:
    """The folder of PostgreSQL's server programs. Raises ServerMissingError."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise ServerMissingError("no initdb on this machine")
    if os.geteuid() == 0 and not shutil.which("runuser"):
        raise ServerMissingError("PostgreSQL does not run as root, and there is no runuser")
    return found[-1].parent if found else Path(on_path or "").resolve().parent


class Cluster:
    """One PostgreSQL server with its own folder, port and socket; fsync stays on."""

    def __init__(self, folder: Path) -> None:
        self._bin = programs()
        self._folder = folder
        self.port = free_port()
        self._session: psycopg.Connection[Any] | None = None
        folder.mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
            for parent in list(folder.parents)[:-1]:
                if parent != Path("/tmp"):
                    parent.chmod(parent.stat().st_mode | 0o011)  # the server's user must get through
        self._run("initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")

    @property
    def url(self) -> str:
        """The database, as DATABASE_URL takes it."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c max_connections=200"
        self._control("start", "-o", options, "-l", str(self._folder / "log"))

    def restart(self, mode: str) -> None:
        """Restart: "fast" ends the sessions in order, "immediate" is a crash with recovery."""
        self._control("restart", "-m", mode)

    def stop(self) -> None:
        """A crash, for good."""
        self._control("stop", "-m", "immediate")

    def connect(self, database: str = DATABASE) -> psycopg.Connection[Any]:
        """A session of the suite's own, in autocommit."""
        url = f"postgres://postgres@127.0.0.1:{self.port}/{database}?application_name=suite"
        return psycopg.connect(url, autocommit=True)

    def ask(self, sql: str, *parameters: Any) -> list[Any]:
        """Run one statement; returns its rows, or nothing. Raises OperationalError while the server is down."""
        try:
            return self._ask(sql, parameters)
        except psycopg.OperationalError:
            self._session = None  # it may be of before a restart
            return self._ask(sql, parameters)

    def _ask(self, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        if self._session is None:
            self._session = self.connect()
        cursor = self._session.execute(sql, parameters or None)
        return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, *parameters: Any) -> Any:
        """The first column of the first row."""
        return self.ask(sql, *parameters)[0][0]

    def end_sessions(self, *, of: str = "%") -> int:
        """Terminate the sessions whose application name fits, but for the suite's; returns how many."""
        return self.value(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE %s AND application_name <> 'suite'",
            of,
        )

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let every transaction that begins inside be read-only, also in sessions that are open."""
        self.ask("ALTER SYSTEM SET default_transaction_read_only = on")
        self.ask("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            self.ask("ALTER SYSTEM RESET default_transaction_read_only")
            self.ask("SELECT pg_reload_conf()")

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-t", "60", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        words = self._folder / "control.log"
        with words.open("ab") as said:  # a pipe would stay open in the server
            done = subprocess.run(command, cwd=self._folder, stdout=said, stderr=said, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}:\n{words.read_text(errors='replace')[-3000:]}")


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """A started cluster with an empty database, ended on leaving. Raises ServerMissingError."""
    cluster = Cluster(folder)
    cluster.start()
    try:
        with cluster.connect("postgres") as session:
            session.execute(f"CREATE DATABASE {DATABASE}")
        yield cluster
    finally:
        cluster.stop()
