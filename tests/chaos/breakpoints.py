"""Gate: stops the first process that reaches a step in the database, so that a fault can meet it exactly there.

Triggers ask at each step whether the gate is shut; who comes to a shut gate waits for a lock that the suite holds. So
no code of the system under test knows of it, and nothing is left to chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
    CREATE TABLE chaos_gate (step text PRIMARY KEY);
    CREATE FUNCTION chaos_pass() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM chaos_gate WHERE step = TG_ARGV[0])
           AND current_setting('application_name') NOT IN ('suite', 'writer') THEN
            PERFORM pg_advisory_xact_lock_shared({LOCK});
        END IF;
        RETURN NULL;
    END $$;
"""


def build(cluster: Cluster) -> None:
    """Put up all gates, open."""
    with cluster.connect() as session:
        session.execute(FUNCTION)
        for number, (step, where) in enumerate(STEPS.items()):
            kind = "CONSTRAINT TRIGGER" if "DEFERRED" in where else "TRIGGER"
            session.execute(f"CREATE {kind} chaos_{number} {where} EXECUTE FUNCTION chaos_pass('{step}')")


class Gate:
    """One shut gate."""

    def __init__(self, cluster: Cluster, step: str) -> None:
        self._session = cluster.connect()
        self._session.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        self._session.execute("INSERT INTO chaos_gate VALUES (%s)", (step,))

    def who_waits(self) -> str | None:
        """The application name of one that stands before it."""
        row = self._session.execute(
            "SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid)"
            " WHERE locktype = 'advisory' AND objid = %s AND NOT granted ORDER BY application_name LIMIT 1",
            (LOCK,),
        ).fetchone()
        return row[0] if row else None

    def open(self) -> None:
        """Let all through."""
        self._session.execute("DELETE FROM chaos_gate")
        self._session.close()


@contextmanager
def shut(cluster: Cluster, step: str) -> Iterator[Gate]:
    """Shut the gate at a step while inside."""
    gate = Gate(cluster, step)
    try:
        yield gate
    finally:
        gate.open()
