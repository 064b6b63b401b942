"""Lock waits: how long statements wait for the lock of a table; which statements were slow, by the server's log."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from tests.support.servers.postgres import Cluster

#: A statement is logged from 200 ms on.
SETTINGS = {"log_line_prefix": "'%n [%p] %a: '", "log_min_duration_statement": "200"}
LINE = re.compile(r"^(\d+\.\d+) \[\d+\] ([^:]*): (\w+):\s+(.*)$")
DURATION = re.compile(r"duration: ([\d.]+) ms\s+(.*)")
#: Seconds between two looks at the locks.
LOOK = 0.02
WAITING = """
    SELECT pid, extract(epoch FROM waitstart)::float, extract(epoch FROM clock_timestamp() - waitstart)::float,
        application_name, format('%s on %s: %s', mode, relation::regclass, left(query, 100))
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND locktype = 'relation' AND waitstart IS NOT NULL
"""


class Wait(NamedTuple):
    """began: seconds since 1970. seconds: how long. name: of the process that waited."""

    began: float
    seconds: float
    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.seconds * 1000:.0f} ms, {self.name}, {self.what}"


class LockWatch:
    """Looks all the time who waits for the lock of a table, in a session of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self._session = cluster.connect()
        self._found: dict[tuple[int, float], Wait] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._session.close()

    def waits(self) -> list[Wait]:
        """Each with its length as it was last seen, so up to a look too short."""
        return list(self._found.values())

    def _look(self) -> None:
        while not self._ended.wait(LOOK):
            for pid, began, seconds, name, what in self._session.execute(WAITING):
                self._found[pid, began] = Wait(began, seconds, name, what)


def log_statements(cluster: Cluster) -> None:
    """Let the server log slow ones from now on."""
    for name, value in SETTINGS.items():
        cluster.ask(f"ALTER SYSTEM SET {name} = {value}")
    cluster.ask("SELECT pg_reload_conf()")


def slow_statements(log: Path) -> list[Wait]:
    """Statements that took long, for whatever reason."""
    return [
        Wait(moment - float(found[1]) / 1000, float(found[1]) / 1000, name, found[2][:160])
        for moment, name, level, text in _lines(log)
        if level == "LOG" and (found := DURATION.match(text))
    ]


def errors(log: Path) -> list[str]:
    """Errors of the database, but for a migration that gives way."""
    return [
        f"{name}: {text}"
        for _, name, level, text in _lines(log)
        if level in {"ERROR", "FATAL", "PANIC"} and "due to lock timeout" not in text
    ]


def _lines(log: Path) -> Iterator[tuple[float, str, str, str]]:
    for line in log.read_text(errors="replace").splitlines():
        if found := LINE.match(line):
            yield float(found[1]), found[2], found[3], found[4]
