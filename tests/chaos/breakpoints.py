"""Breakpoint: stops the first process that reaches a step in the database, so that a fault can meet it exactly there.

Triggers look at each step whether a breakpoint is set; the process that reaches it waits for a lock that the suite
holds. The system under test has no code for this, and nothing is left to chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.servers.postgres import Cluster

LOCK = 4711

#: Step → the trigger that stands there.
STEPS = {
    "between confirm and delete": "BEFORE DELETE ON events_outboxmessage FOR EACH STATEMENT",
    "while the delete commits": "AFTER DELETE ON events_outboxmessage DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
    "claimed, before the effect": "AFTER INSERT ON events_delivery FOR EACH STATEMENT",
    "while the effect commits": "AFTER INSERT ON effects_effect DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
    "while a failure is recorded": "AFTER INSERT ON events_attempt FOR EACH STATEMENT",
    "while the record commits": "AFTER INSERT ON events_attempt DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
}

FUNCTION = f"""
    CREATE TABLE chaos_breakpoint (step text PRIMARY KEY);
    CREATE FUNCTION chaos_wait() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM chaos_breakpoint WHERE step = TG_ARGV[0])
           AND current_setting('application_name') NOT IN ('suite', 'writer') THEN
            PERFORM pg_advisory_xact_lock_shared({LOCK});
        END IF;
        RETURN NULL;
    END $$;
"""


def install(cluster: Cluster) -> None:
    """Make the triggers of all steps; no breakpoint is set."""
    with cluster.connect() as session:
        session.execute(FUNCTION)
        for number, (step, where) in enumerate(STEPS.items()):
            kind = "CONSTRAINT TRIGGER" if "DEFERRED" in where else "TRIGGER"
            session.execute(f"CREATE {kind} chaos_{number} {where} EXECUTE FUNCTION chaos_wait('{step}')")


class Breakpoint:
    """A breakpoint that is set."""

    def __init__(self, cluster: Cluster, step: str) -> None:
        self._session = cluster.connect()
        self._session.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        self._session.execute("INSERT INTO chaos_breakpoint VALUES (%s)", (step,))

    def waiting_process(self) -> str | None:
        """The application name of a process that waits at it."""
        return self._waiting("application_name")

    def waiting_session(self) -> int | None:
        """The server process of a session that waits at it."""
        return self._waiting("pid")

    def _waiting(self, column: str) -> Any:
        row = self._session.execute(
            f"SELECT {column} FROM pg_stat_activity JOIN pg_locks USING (pid)"
            " WHERE locktype = 'advisory' AND objid = %s AND NOT granted ORDER BY application_name LIMIT 1",
            (LOCK,),
        ).fetchone()
        return row[0] if row else None

    def remove(self) -> None:
        """Let every process go on."""
        self._session.execute("DELETE FROM chaos_breakpoint")
        self._session.close()


@contextmanager
def set_breakpoint(cluster: Cluster, step: str) -> Iterator[Breakpoint]:
    """A breakpoint at a step, removed on leaving."""
    one = Breakpoint(cluster, step)
    try:
        yield one
    finally:
        one.remove()
