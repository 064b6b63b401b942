"""Prune: delete events whose keep time is over, each with its rows of the inbox and their failed attempts.

An event goes when it is older than the keep time of its topic and nothing holds it up (`holders.py`). Topic after
topic is read in the order of the log; of each chunk:

1. The events that nothing holds up are found, without a lock.
2. The floor of their topic is raised above them, and that is committed.
3. In one transaction they are locked, those that something holds up by now are left out, and the others go.

It may end at any point, and run beside everything else: whoever replays or redacts locks the rows of the log first,
too, and `emit` waits for none of these locks. What others hold is left for the next time. A topic ends for this time
where a subscription has held up every event of HELD_CHUNKS chunks in a row: it is behind, and will hold up the rest.
The last event of the log always stays: its number is the end of the log.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db import OperationalError, connections, router

from ..db.commit import committed
from ..db.deadlocks import retry_deadlocks, sqlstate
from ..db.dialect import database_now
from ..keep import keep_times
from ..logger import get_logger
from ..outbox.event_id import AHEAD, is_made_since, lowest_id, tells_time
from ..outbox.floor import Gone
from ..outbox.models import LogFloor, OutboxMessage, StoredEvent
from .holders import DEAD_LETTER, Held, Holder, holders, what_holds
from .with_inbox import delete_with_inbox

log = get_logger("events.prune")

#: Events per transaction.
EVENTS_PER_CHUNK = 500
HELD_CHUNKS = 10
#: With more new rows in the outbox the relay is late, and nothing is pruned.
MAX_NEW_ROWS = 10_000
#: How long a chunk waits for a lock that another transaction holds, and PostgreSQL's code of the error then.
LOCK_TIMEOUT, LOCKED = "500ms", "55P03"


class PruneRefusedError(Exception):
    """Nothing can be pruned now; the message says why, and what to do."""


@dataclass(kw_only=True)
class PrunedTopic:
    """What became of the old events of one topic.

    gone: how many went, or would go. held: what holds up others, by holder. stopped: whether the rest of the topic was
    not looked at, since it is held up, or the time was over.
    """

    topic: str
    keep: dt.timedelta
    gone: int = 0
    held: dict[str, Held] = field(default_factory=dict)
    stopped: bool = False

    def hold(self, holder: str, sequence: int) -> None:
        """Count an event that this holder holds up."""
        held = self.held.setdefault(holder, Held(holder=holder, count=0, first=sequence))
        held.count += 1


#: Progress callback: the number of events that were looked at since the last call.
Advance = Callable[[int], None]


def prune(
    *, rate: int | None = None, seconds: float | None = None, dry_run: bool = False, advance: Advance | None = None
) -> list[PrunedTopic]:
    """Prune every topic that has a keep time (EVENTS_KEEP); returns what became of each that has old events.

    rate: events per second that go, at most. seconds: after which it ends, though not all is done. dry_run: count, and
    change nothing.

    Raises PruneRefusedError if the relay is behind, ImproperlyConfigured, and whatever the database raises.
    """
    keep = keep_times()
    if not keep:
        return []
    if OutboxMessage.objects.new()[MAX_NEW_ROWS : MAX_NEW_ROWS + 1]:
        raise PruneRefusedError(
            f"More than {MAX_NEW_ROWS:,} new events wait for the relay. Look at it (manage.py doctor), and prune when"
            " they are sent."
        )
    now = database_now(connections[router.db_for_write(StoredEvent)])
    work = _Pruning(now, holders(now), rate=rate, seconds=seconds, dry_run=dry_run, advance=advance)
    found: list[PrunedTopic] = []
    for topic in StoredEvent.objects.topics():
        time_kept = keep.of(topic)
        if time_kept is not None:
            found.append(work.prune(topic, time_kept))
    return [one for one in found if one.gone or one.held or one.stopped]


class _Pruning:
    """One call of `prune`."""

    def __init__(
        self,
        now: dt.datetime,
        known: Sequence[Holder],
        *,
        rate: int | None,
        seconds: float | None,
        dry_run: bool,
        advance: Advance | None,
    ) -> None:
        self._now = now
        self._holders = known
        self._rate = rate
        self._began = time.monotonic()
        self._end = None if seconds is None else self._began + seconds
        self._dry_run = dry_run
        self._advance = advance
        self._gone = 0

    def prune(self, topic: str, keep: dt.timedelta) -> PrunedTopic:
        """Prune one topic."""
        result = PrunedTopic(topic=topic, keep=keep)
        before = self._now - keep
        events = StoredEvent.objects.filter(topic=topic, sequence__lt=self._limit(before)).order_by("sequence")
        last = held_chunks = 0
        while chunk := list(events.filter(sequence__gt=last).defer("data")[:EVENTS_PER_CHUNK]):
            if self._end is not None and time.monotonic() >= self._end:
                result.stopped = True
                break
            going = self._chunk([event for event in chunk if _is_old(event, before)], result)
            last = chunk[-1].sequence
            held_chunks = 0 if going or not result.held.keys() - {DEAD_LETTER} else held_chunks + 1
            if self._advance:
                self._advance(len(chunk))
            if held_chunks >= HELD_CHUNKS:
                result.stopped = True
                break
            if self._rate and not self._dry_run:
                time.sleep(max(0.0, self._gone / self._rate - (time.monotonic() - self._began)))
        if result.gone and not self._dry_run:
            log.info("pruned", topic=topic, events=result.gone)
        return result

    def _limit(self, before: dt.datetime) -> int:
        """The number of the first event of the log that was emitted since then; or of the last one."""
        made_since = StoredEvent.objects.filter(
            event_id__gte=lowest_id(before), event_id__lt=lowest_id(self._now + AHEAD)
        ).order_by("event_id")
        newest = StoredEvent.objects.newest()
        return min(made_since.values_list("sequence", flat=True).first() or newest, newest)

    def _chunk(self, old: Sequence[StoredEvent], result: PrunedTopic) -> int:
        """Prune a chunk; returns how many of its events went."""
        held = what_holds(old, self._holders)
        for event in old:
            for holder in held.get(event.event_id, ()):
                result.hold(holder, event.sequence)
        going = [event for event in old if event.event_id not in held]
        if going and not self._dry_run:
            LogFloor.objects.raise_above(
                [Gone(event.topic, event.sequence, event.event_id, event.time) for event in going]
            )
            gone = retry_deadlocks(lambda: _delete(going, self._holders))
        else:
            gone = len(going)
        result.gone += gone
        self._gone += gone
        return gone


def _is_old(event: StoredEvent, before: dt.datetime) -> bool:
    """Whether an event was emitted before then: by its id or, if that does not tell, by its time."""
    if tells_time(event.event_id):
        return not is_made_since(lowest_id(before), event.event_id)
    return event.time < before


def _delete(events: Sequence[StoredEvent], known: Sequence[Holder]) -> int:
    """Delete events that nothing holds up, in a transaction; returns their number. 0 if another one is in the way."""
    using = router.db_for_write(StoredEvent)
    try:
        with committed(using=using):
            if connections[using].vendor == "postgresql":
                with connections[using].cursor() as cursor:
                    cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            chosen = StoredEvent.objects.filter(pk__in=[event.pk for event in events]).order_by("sequence")
            locked = list(chosen.defer("data").select_for_update(skip_locked=True))
            held = what_holds(locked, known)
            going = [event for event in locked if event.event_id not in held]
            delete_with_inbox(going)
            return len(going)
    except OperationalError as error:
        if sqlstate(error) != LOCKED:
            raise
        return 0
