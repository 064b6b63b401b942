"""Health: whether the processes of this host work, as far as their heartbeats say so."""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from django.db.models.functions import Now

from ..finding import Finding
from ..relay.models import RelayTerm
from .models import Process

#: The processes that deliver events. Others write a heartbeat, too.
KINDS = ("worker", "relay")


def host_findings(*, within: dt.timedelta) -> Iterator[Finding]:
    """What is wrong with the workers and relays of this host, and whether there is an active relay at all.

    within: the age of a heartbeat, and of the end of the relay's term, up to which the process counts as alive. Raises
    what the database raises.
    """
    host, seconds = socket.gethostname(), within.total_seconds()
    rows = Process.objects.filter(host=host, kind__in=KINDS)
    alive = set(rows.filter(beat_at__gt=Now() - within).values_list("pid", flat=True))
    if not alive:
        yield Finding(
            problem=f"No worker and no relay on {host} has written a heartbeat within {seconds:g} s.",
            cure="If one has just begun, wait for it. Otherwise its log says why it does not run, or what its database "
            "says: start `manage.py rundramatiq` again.",
        )
    for row in rows.exclude(pid__in=alive).order_by("pid"):
        # The row of a process that was killed stays for a day.
        if _began(row.pid) <= row.beat_at.timestamp():
            yield Finding(
                problem=f"The {row.kind} {row.pid} on {host} runs and is silent since {row.beat_at:%H:%M:%S %Z}.",
                cure="It hangs, or does not reach the database. End it (kill -9, if SIGTERM does not): its supervisor "
                "starts another one, and what it had begun is delivered again.",
            )
    newest = RelayTerm.objects.order_by("-number").values_list("pk", flat=True)[:1]
    if not RelayTerm.objects.filter(pk__in=list(newest), expires_at__gt=Now() - within).exists():
        yield Finding(
            problem="No relay is active anywhere: what is emitted waits in the outbox.",
            cure="Start `manage.py rundramatiq`, which has one, or `manage.py relay`. If one runs, its log says what "
            "it waits for.",
        )


def _began(pid: int) -> float:
    """When a process of this host began, in seconds since 1970; infinity if it is gone, or if that cannot be told."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    except (OSError, StopIteration):
        return float("inf")
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
