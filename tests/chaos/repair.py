"""repair: what a broker lost is sent again by the system's reconcile, or, where there is none, by the suite itself."""

from __future__ import annotations

import importlib.util
import json

from tests.chaos.load.topics import TOPIC_OF
from tests.chaos.system import System

#: Whether the system repairs this by itself: the suite waits for it, or starts it early.
REPAIRS_ITSELF = importlib.util.find_spec("events.repair.reconcile") is not None
#: The system's log line after a repair; its field `events` is their number.
REPAIRED = "healed what was missing or late"
#: Seconds that a delivery must be missing before the command takes it for lost, where a test cannot wait.
SHORT_PATIENCE = "2"

SEND_AGAIN = """
    INSERT INTO events_outboxmessage (event_id, subscriber, due, run, attempt, priority, claimed)
    SELECT e.event_id, h.subscriber, now(), 0, greatest(coalesce(d.attempts, 1), 1), 0, false
    FROM events_storedevent e
    JOIN unnest(%s::text[], %s::text[]) AS h(subscriber, topic) USING (topic)
    LEFT JOIN events_delivery d ON (d.event_id, d.subscriber) = (e.event_id, h.subscriber)
    WHERE (d.state IS NULL OR d.state = 'retrying')
      AND NOT EXISTS (SELECT FROM events_outboxmessage o WHERE o.event_id = e.event_id
                      AND o.subscriber IN ('', h.subscriber))
    ON CONFLICT DO NOTHING RETURNING 1
"""


def repair(system: System) -> int:
    """Have sent again what the broker lost; returns the number of deliveries that the suite itself sent again."""
    if not REPAIRS_ITSELF:
        return len(system.cluster.ask(SEND_AGAIN, list(TOPIC_OF), list(TOPIC_OF.values())))
    if system.in_a_hurry:
        system.run("reconcile", "manage.py", "reconcile", "--patience", SHORT_PATIENCE)
    return 0


def repaired_by_itself(system: System) -> int:
    """Deliveries that the system repaired, from its logs."""
    said = (line for log in system.folder.glob("*.log") for line in log.read_text(errors="replace").splitlines())
    return sum(json.loads(line)["events"] for line in said if REPAIRED in line and line.startswith("{"))
