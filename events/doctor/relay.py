"""Relay: is what is owed sent, and do the processes that have to run run?"""

from __future__ import annotations

from collections.abc import Iterator

import dramatiq
from django.db import connections

from ..brokers.contract import EventBroker
from ..db.dialect import database_now
from ..finding import Finding, Severity
from ..outbox.models import OutboxMessage
from ..relay.models import RelayTerm
from ..worker.models import Process
from .examination import examination

#: Seconds that a delivery may be owed: a relay that carries takes milliseconds, a refused one is tried each minute.
STUCK = 120


@examination("Outbox", needs_database=True)
def outbox() -> Iterator[Finding]:
    """Nothing is owed for long."""
    new = OutboxMessage.objects.filter(due=None, claimed=False).order_by("pk").values_list("event__time", flat=True)[:1]
    due = OutboxMessage.objects.due().values_list("due", flat=True)[:1]
    now = database_now(connections[OutboxMessage.objects.db])
    seconds = max(((now - since).total_seconds() for since in (*new, *due) if since is not None), default=0.0)
    if seconds > STUCK:
        yield Finding(
            problem=f"A delivery is owed for {int(seconds / 60)} minutes: nothing takes it out of the outbox.",
            cure="See whether a relay is active (below), and whether the broker takes messages: the relay's log names "
            "what is refused, and why.",
        )
    if OutboxMessage.objects.dangling()[:1]:
        yield Finding(
            problem="The outbox has rows whose event is not in the log.",
            cure="They were made by hand or by a restore. The relay passes over them and logs them; delete them in the "
            "admin.",
            severity=Severity.WARNING,
        )


@examination("Relay", needs_database=True)
def relay() -> Iterator[Finding]:
    """One relay is active."""
    last = RelayTerm.objects.order_by("-number").first()
    if last is None or last.expires_at <= database_now(connections[RelayTerm.objects.db]):
        since = (
            f"the last one, {last.holder}, ended {last.expires_at:%Y-%m-%d %H:%M:%S %Z}" if last else "none ever was"
        )
        yield Finding(
            problem=f"No relay is active ({since}): what is emitted waits in the outbox.",
            cure="Start `manage.py rundramatiq`, which has one, or `manage.py relay`.",
        )


@examination("Processes", needs_database=True)
def processes() -> Iterator[Finding]:
    """Workers run, and none is silent."""
    rows = list(Process.objects.with_silence())
    for row in rows:
        if row.silent:  # type: ignore[attr-defined]
            yield Finding(
                problem=f"The {row.kind} {row.pid} on {row.host} is silent since {row.beat_at:%Y-%m-%d %H:%M:%S %Z}.",
                cure="If it runs, it hangs: its supervisor restarts it, or kill -9 it. If it was killed, its row goes "
                "away by itself within a day.",
                severity=Severity.WARNING,
            )
    if not any(row.kind == "worker" and not row.silent for row in rows):  # type: ignore[attr-defined]
        yield Finding(
            problem="No worker runs: no subscriber does anything.",
            cure="Start `manage.py up`." if _is_in_process() else "Start `manage.py rundramatiq`.",
        )


def _is_in_process() -> bool:
    broker = dramatiq.get_broker()
    return isinstance(broker, EventBroker) and broker.in_process
