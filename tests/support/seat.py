"""Seat: the process and the session of the active relay; how a test stops either."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.db import connection
from django.db.models.functions import Now

from events.relay.models import RelayTerm

#: The server process of the session of the relay whose term has not expired, for servers that Django does not know.
SEATED = """
    SELECT substring(holder FROM 'session ([0-9]+)')::int FROM events_relayterm
    WHERE number = (SELECT max(number) FROM events_relayterm) AND expires_at > now()
"""


def seated() -> list[int]:
    """The server process of the session of the active relay; empty if there is none."""
    last = RelayTerm.objects.order_by("-number").annotate(now=Now()).first()
    if last is None or last.expires_at <= last.now:
        return []
    found = re.search(r"session (\d+)", last.holder)
    return [int(found[1])] if found else []


def unseat() -> None:
    """End the session of the active relay, and no other."""
    with connection.cursor() as cursor:
        for pid in seated():
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


def seated_process() -> int | None:
    """The process of the active relay on this host."""
    last = RelayTerm.objects.filter(expires_at__gt=Now()).order_by("-number").first()
    return int(last.holder.split()[1]) if last else None


def sessions_of(process: int) -> list[int]:
    """The server processes of a client process's sessions on this host."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT client_port, pid FROM pg_stat_activity WHERE client_port > 0")
        servers = dict(cursor.fetchall())
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = {row[9]: int(row[1].split(":")[1], 16) for row in rows}
    links = (os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir())
    inodes = (link.removeprefix("socket:[").removesuffix("]") for link in links)
    return [servers[ports[inode]] for inode in inodes if ports.get(inode) in servers]


@contextmanager
def stopped(*processes: int) -> Iterator[None]:
    """SIGSTOP to processes of this host, SIGCONT on leaving. Skips the test where that is not allowed."""
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        yield
    except PermissionError:
        pytest.skip("needs a PostgreSQL server on this host, and the right to stop its processes")
    finally:
        for process in processes:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGCONT)
