"""Prune: delete events whose keep time is over, each with its rows of the inbox and their failed attempts.

An event goes when it is older than the keep time of its topic and nothing holds it up (`holders.py`). Where log and
inbox are partitioned, whole partitions are dropped first (`dropping.py`). What has no partition, or one that waits much
longer for its other topics, goes row by row: topic after topic is read in the order of the log; of each chunk:

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
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db import OperationalError, connections, router
from django.db.models import Q

from ..db.commit import committed
from ..db.deadlocks import retry_deadlocks, sqlstate
from ..db.dialect import database_now
from ..keep import KeepTimes, keep_times, partition_days
from ..logger import get_logger
from ..outbox.event_id import AHEAD, lowest_id, was_made_before
from ..outbox.floor import Gone
from ..outbox.models import LogFloor, OutboxMessage, StoredEvent
from .dropping import Period, Walk, periods
from .holders import DEAD_LETTER, Held, Holder, holders, what_holds
from .partitions import log_and_inbox
from .with_inbox import delete_with_inbox

log = get_logger("events.prune")

#: Events per transaction.
EVENTS_PER_CHUNK = 500
HELD_CHUNKS = 10
#: With more new rows in the outbox the relay is late, and nothing is pruned.
MAX_NEW_ROWS = 10_000
FIRST_ID = uuid.UUID(int=0)
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

    def hold(self, found: Held) -> None:
        """Count events that a holder holds up."""
        held = self.held.setdefault(found.holder, Held(holder=found.holder, count=0, first=found.first))
        held.count, held.first = held.count + found.count, min(held.first, found.first)


#: Progress callback: the number of events that were looked at since the last call.
Advance = Callable[[int], None]
#: How far the partitions that are over were looked at, by the name of that of the log.
Walks = dict[str, Walk]


def prune(
    *,
    rate: int | None = None,
    seconds: float | None = None,
    dry_run: bool = False,
    advance: Advance | None = None,
    walks: Walks | None = None,
) -> list[PrunedTopic]:
    """Prune every topic that has a keep time (EVENTS_KEEP); returns what became of each that has old events.

    rate: events per second, at most, that go by rows or are looked at in a partition. seconds: after which it ends,
    though not all is done. dry_run: count, and change nothing. walks: what a call before has left undone, and what this
    one leaves: a caller with little time keeps it.

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
    work = _Pruning(now, holders(now), keep=keep, rate=rate, seconds=seconds, dry_run=dry_run, advance=advance)
    work.drop({} if walks is None else walks)
    for topic in StoredEvent.objects.topics():
        if keep.of(topic) is not None:
            work.prune(topic)
    return [one for one in work.topics.values() if one.gone or one.held or one.stopped]


class _Pruning:
    """One call of `prune`."""

    def __init__(
        self,
        now: dt.datetime,
        known: Sequence[Holder],
        *,
        keep: KeepTimes,
        rate: int | None,
        seconds: float | None,
        dry_run: bool,
        advance: Advance | None,
    ) -> None:
        #: What became of each topic.
        self.topics: dict[str, PrunedTopic] = {}
        self._now = now
        self._holders = known
        self._keep = keep
        self._rate = rate
        self._began = time.monotonic()
        self._end = None if seconds is None else self._began + seconds
        self._dry_run = dry_run
        self._advance = advance
        #: Events that went by rows, and those of partitions that were looked at.
        self._done = 0

    def drop(self, walks: Walks) -> None:
        """Drop the partitions that are over, and note which ones need not be looked at row by row."""
        both = log_and_inbox()
        self._left_to_drop = periods(both)
        names = {one.name for one in self._holders}
        over = [one for one in self._left_to_drop if one.is_over(self._keep, self._now)]
        for name in walks.keys() - {one.log for one in over}:
            del walks[name]
        for period in over:
            walk = walks.get(period.log)
            if walk is None or walk.names != names:
                walk = walks[period.log] = Walk(both, period, self._holders, keep=self._keep, now=self._now)
            if not walk.go_on(self._may_go_on, self._looked_at):
                self._stop(period)
                continue
            del walks[period.log]
            if not walk.goes_by_rows and (self._dry_run or walk.drop()):
                self._count(walk)
            elif walk.goes_by_rows:
                self._left_to_drop.remove(period)
            else:  # others were in the way: the next time
                self._stop(period)

    def _stop(self, period: Period) -> None:
        for topic in period.topics:
            self._result(topic).stopped = True

    def _count(self, walk: Walk) -> None:
        """Count what has gone with a partition, or would go."""
        for topic, number in walk.gone.items():
            self._result(topic).gone += number
        for (topic, _), held in walk.held.items():
            self._result(topic).hold(held)
        if not self._dry_run:
            log.info("partition dropped", partition=walk.period.log, events=walk.gone.total(), kept=len(walk.staying))

    def _result(self, topic: str) -> PrunedTopic:
        return self.topics.setdefault(topic, PrunedTopic(topic=topic, keep=self._keep.of(topic) or dt.timedelta()))

    def _looked_at(self, number: int) -> None:
        """So many events of a partition were looked at."""
        if self._advance:
            self._advance(number)
        self._done += number
        self._keep_pace()

    def _keep_pace(self) -> None:
        if self._rate and not self._dry_run:
            time.sleep(max(0.0, self._done / self._rate - (time.monotonic() - self._began)))

    def _may_go_on(self) -> bool:
        return self._end is None or time.monotonic() < self._end

    def prune(self, topic: str) -> None:
        """Prune one topic, row by row."""
        result = self._result(topic)
        before = self._now - result.keep
        events = StoredEvent.objects.filter(self._by_rows(result), topic=topic, sequence__lt=self._limit(before))
        events = events.order_by("sequence")
        last = held_chunks = 0
        while chunk := list(events.filter(sequence__gt=last).defer("data")[:EVENTS_PER_CHUNK]):
            if not self._may_go_on():
                result.stopped = True
                break
            old = [one for one in chunk if was_made_before(before, one.event_id, written=one.time)]
            going = self._chunk(old, result)
            last = chunk[-1].sequence
            held_chunks = 0 if going or not result.held.keys() - {DEAD_LETTER} else held_chunks + 1
            if self._advance:
                self._advance(len(chunk))
            if held_chunks >= HELD_CHUNKS:
                result.stopped = True
                break
            self._keep_pace()
        if result.gone and not self._dry_run:
            log.info("pruned", topic=topic, events=result.gone)

    def _by_rows(self, result: PrunedTopic) -> Q:
        """The events of a topic that do not go with their partition soon: all but those of partitions that are dropped
        within one period after they are over themselves."""
        latest = result.keep + dt.timedelta(days=partition_days())
        ranges, low = Q(), FIRST_ID
        for period in self._left_to_drop:
            kept = period.keep(self._keep)
            if kept is not None and kept <= latest:
                if period.low > low:
                    ranges |= Q(event_id__gte=low, event_id__lt=period.low)
                low = period.high
        return ranges | Q(event_id__gte=low)

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
                result.hold(Held(holder=holder, count=1, first=event.sequence))
        going = [event for event in old if event.event_id not in held]
        if going and not self._dry_run:
            LogFloor.objects.raise_above(
                [Gone(event.topic, event.sequence, event.event_id, event.time) for event in going]
            )
            gone = retry_deadlocks(lambda: _delete(going, self._holders))
        else:
            gone = len(going)
        result.gone += gone
        self._done += gone
        return gone


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
