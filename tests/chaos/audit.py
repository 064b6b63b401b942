"""Audit: plain SQL over log, inbox, outbox and effects, against what the writers know. Nothing of the system under
test is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.chaos.load.crash_points import counted
from tests.chaos.load.topics import ECHO_EVERY, TOPIC_OF
from tests.chaos.system import System

#: Moods that end as a dead letter at `load.moody`, and only there.
DEADLY = ("poison", "hopeless", "killer")
#: Moods in which `load.moody` fails.
FAILING = (*DEADLY, "once", "twice")
#: Runs an event may have at most: by its mood at `load.moody`, else the one in which its worker was killed, the next,
#: alone, which another kill may have met, and the last. An outage costs none.
MOST_ATTEMPTS = {"load.moody": 4}
MOST_ATTEMPTS_OF_OTHERS = 3

#: Every delivery that must be: one line per event and subscriber, with what became of it.
EXPECTED = """
    CREATE TEMP TABLE expected AS
    SELECT e.sequence, e.event_id, h.subscriber, (e.data->>'number')::int AS number, e.data->>'mood' AS mood,
           d.state, d.attempts, coalesce(d.rows, 0) AS rows, coalesce(f.effects, 0) AS effects,
           h.subscriber = 'load.moody' AND e.data->>'mood' = ANY(%s) AS deadly
    FROM events_storedevent e
    JOIN unnest(%s::text[], %s::text[]) AS h(subscriber, topic) USING (topic)
    LEFT JOIN (SELECT event_id, subscriber, min(state) AS state, max(attempts) AS attempts, count(*) AS rows
               FROM events_delivery GROUP BY 1, 2) d ON (d.event_id, d.subscriber) = (e.event_id, h.subscriber)
    LEFT JOIN (SELECT subscriber, number, count(*) AS effects FROM effects_effect GROUP BY 1, 2) f
              ON (f.subscriber, f.number) = (h.subscriber, (e.data->>'number')::int)
"""
#: Failures that are not the event's own. An outage is none, and costs no attempt.
FAILED_INNOCENTS = """
    SELECT d.subscriber, a.number, a.error, count(*) FROM events_attempt a
    JOIN events_delivery d ON d.id = a.delivery_id JOIN events_storedevent e USING (event_id)
    WHERE NOT (d.subscriber = 'load.moody' AND e.data->>'mood' = ANY(%s)) GROUP BY 1, 2, 3
"""
UNACCOUNTED = "rows <> 1 OR state = 'retrying'"
LOST = "effects = 0 AND NOT deadly"
DOUBLED = "effects > 1"

OPEN = f"""
    SELECT (SELECT count(*) FROM events_outboxmessage)
         + (SELECT count(*) FROM events_storedevent e
            JOIN unnest(%s::text[], %s::text[]) AS h(subscriber, topic) USING (topic)
            LEFT JOIN events_delivery d ON (d.event_id, d.subscriber) = (e.event_id, h.subscriber)
            WHERE {"d.state IS NULL OR d.state = 'retrying'"})
"""


@dataclass
class Findings:
    """What the audit found; all is well if `wrong` is empty."""

    events: int = 0
    deliveries: int = 0
    dead: int = 0
    #: By subscriber, the most attempts that one event took.
    most_attempts: dict[str, int] = field(default_factory=dict)
    lost: list[tuple[Any, ...]] = field(default_factory=list)
    doubled: list[tuple[Any, ...]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def still_open(system: System) -> int:
    """Deliveries without an outcome, and rows in the outbox."""
    return system.cluster.value(OPEN, *_subscribers_and_topics())


def audit(system: System, *, committed: set[int]) -> Findings:
    """Hold the tables against each other and against the writers' own notes."""
    findings = Findings()

    with system.cluster.connect() as session:

        def ask(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
            return session.execute(sql, parameters or None).fetchall()

        def wrong(what: str, rows: object) -> None:
            if rows:
                findings.wrong.append(f"{what}: {str(rows)[:1500]}")

        session.execute(EXPECTED, (list(DEADLY), *_subscribers_and_topics()))
        ((findings.events,),) = ask("SELECT count(*) FROM events_storedevent")
        ((findings.deliveries,),) = ask("SELECT count(*) FROM expected")
        ((findings.dead,),) = ask("SELECT count(*) FROM expected WHERE state = 'dead'")
        line = "SELECT sequence, subscriber, number, mood, state, attempts, rows, effects FROM expected WHERE "
        findings.lost = ask(line + LOST)
        findings.doubled = ask(line + DOUBLED)
        wrong("lost", findings.lost)
        wrong("doubled", findings.doubled)
        wrong("not exactly one row in a final state", ask(line + UNACCOUNTED))
        wrong("an effect without a delivery that is done", ask(line + "effects = 1 AND state <> 'done'"))
        wrong("dead, but not by design", ask(line + "state = 'dead' AND NOT deadly"))
        wrong("not dead, but should be", ask(line + "state <> 'dead' AND deadly"))
        for name in TOPIC_OF:
            most = MOST_ATTEMPTS.get(name, MOST_ATTEMPTS_OF_OTHERS)
            wrong("too many attempts", ask(line + "subscriber = %s AND attempts > %s", name, most))
        findings.most_attempts = dict(ask("SELECT subscriber, max(attempts) FROM expected GROUP BY 1 ORDER BY 1"))
        wrong("failed, but not by design", ask(FAILED_INNOCENTS, list(FAILING)))
        wrong(
            "fewer attempts than the mood takes",
            ask(line + "subscriber = 'load.moody' AND mood = 'twice' AND attempts < 3"),
        )

        logged = {number for (number,) in ask("SELECT number FROM expected WHERE subscriber = 'load.grouped'")}
        rows = {number for (number,) in ask("SELECT number FROM effects_effect WHERE subscriber = 'writer'")}
        wrong("rows and log differ", rows ^ logged)
        wrong("committed, but not in the log", committed - logged)
        wrong(
            "logged twice",
            ask("SELECT number FROM expected WHERE subscriber = 'load.grouped' GROUP BY 1 HAVING count(*) > 1"),
        )
        echoes = [number for (number,) in ask("SELECT number FROM expected WHERE subscriber = 'load.alone'")]
        wrong("echoes emitted twice or not at all", sorted(echoes) != sorted(n for n in logged if n % ECHO_EVERY == 0))
        ((tallied,),) = ask("SELECT sum(balance) FROM effects_account")
        wrong("the tally is off by", tallied - len(logged))
        wrong(
            "foreign deliveries",
            ask(
                "SELECT subscriber, count(*) FROM events_delivery WHERE NOT subscriber = ANY(%s) GROUP BY 1",
                list(TOPIC_OF),
            ),
        )
        ((owed,),) = ask("SELECT count(*) FROM events_outboxmessage")
        wrong("left in the outbox", owed)
    return findings


def committed_by_writers(system: System) -> set[int]:
    """The numbers that the writers saw committed."""
    return {int(line) for file in system.folder.glob("writer_*.committed") for line in file.read_text().split()}


def runs_of_killer(system: System, number: int) -> int:
    """How often a killer killed."""
    return counted(system.folder, f"killer_{number}")


def _subscribers_and_topics() -> tuple[list[str], list[str]]:
    return list(TOPIC_OF), list(TOPIC_OF.values())
