"""Heal: what a broker lost comes back by `events.reconcile`, or, while there is none, by the suite itself."""

from __future__ import annotations

import importlib.util
import json

from tests.chaos.load.topics import HEARS
from tests.chaos.system import World

#: The system heals by itself: the suite only waits for it, or asks it to hurry.
HEALS_ITSELF = importlib.util.find_spec("events.repair.reconcile") is not None
#: What the system says when it has healed something; `events` is how many.
HEALED = "healed what the broker lost"
#: Seconds that something must be missing before the command takes it for lost, where a test cannot wait.
HURRY = "2"

OWE_ANEW = """
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


def heal(world: World) -> int:
    """See to it that what the broker lost is owed anew; returns how many deliveries the suite itself owed anew."""
    if not HEALS_ITSELF:
        return len(world.cluster.ask(OWE_ANEW, list(HEARS), list(HEARS.values())))
    if world.in_a_hurry:
        world.run("reconcile", "manage.py", "reconcile", "--patience", HURRY)
    return 0


def healed_by_itself(world: World) -> int:
    """Deliveries that the system says it healed."""
    said = (line for log in world.folder.glob("*.log") for line in log.read_text(errors="replace").splitlines())
    return sum(json.loads(line)["events"] for line in said if HEALED in line and line.startswith("{"))
