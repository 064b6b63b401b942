"""Publish the outbox: rows → any broker that confirms what it was given."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from django.db import Error, router

from .. import tracing
from ..db.commit import committed
from ..inbox.retry import UNKNOWN_SUBSCRIBER, dead_letter
from ..logger import get_logger
from ..outbox.messages import Batch, OutboxRow
from ..outbox.models import OutboxMessage, StoredEvent
from ..outbox.reader import OutboxReader
from ..signature import signed_headers
from ..subscription import interested_in, queue_of, subscriptions
from .contract import (
    BYTES_PER_PASS,
    DUE_ROWS_PER_PASS,
    ROWS_PER_PASS,
    Answers,
    GivenUpError,
    Outgoing,
    Publisher,
    nothing,
)
from .dangling import DanglingRows
from .refusals import Refusals, everybody
from .relayed import count_answers, reached
from .sent import SentRows

log = get_logger("events.relay")

#: Seconds after which a message without an answer is taken for one that its queue does not answer for.
SILENT_AFTER = 10.0
#: Rows that were published and cannot be deleted, at most: then no more are published.
SENT_AT_MOST = 5 * ROWS_PER_PASS
#: Rows of one subscriber that are put off in one pass, at most.
POSTPONED_PER_PASS = 5_000
REFUSED = "its queue refuses messages: it is full, or the server has trouble with it"
SILENT = "its queue does not answer: it has perhaps lost the majority of its members"
MISSING = "it has no queue, and none could be made: MQ_USER may not configure it, or it was deleted just now"


class CourierMemory:
    """What outlives a courier: a relay begins each term with a new one."""

    def __init__(self) -> None:
        self.sent = SentRows()
        self.refusals = Refusals()
        self.dangling = DanglingRows()


class OpenRow(NamedTuple):
    """A row that was published and has no answer yet; since when, by the monotonic clock."""

    row: OutboxRow
    since: float


class PublishingCourier:
    """Publishes new rows first, per changed row in the order of commits, then due rows.

    Order: no row is skipped because another relay holds it, and no row is deleted before its confirm. So whoever
    publishes a row has published all earlier rows of the same changed row before, or these were confirmed. Two relays
    may both be active for a moment, until one of them notices that it lost its lease: then rows are published twice,
    but none too early.

    Each row is answered for by itself:

    | the broker      | and the row is                   | what becomes of it                                     |
    |-----------------|----------------------------------|--------------------------------------------------------|
    | confirms        |                                  | it is deleted; if that fails, it is remembered         |
    | returns         | for an unknown subscriber        | it becomes a dead letter                               |
    | (no queue)      | of a topic nobody subscribes to  | it is deleted: it was delivered to nobody              |
    |                 | for a subscriber                 | it stays; all queues are declared anew, once; then it  |
    |                 |                                  | waits with a backoff                                   |
    | refuses         | for one subscriber               | it waits with a backoff, as do all of that subscriber  |
    |                 | for all                          | it is owed to each subscriber by itself, or to those   |
    |                 |                                  | alone that are known to refuse                         |
    | forbids         |                                  | it waits with a backoff                                |
    | does not answer |                                  | it is left alone for SILENT_AFTER, then as if refused  |

    go_on: asked before each publish, whatever was waited for until then; False: the relay has lost its lease, or is to
    stop. What was confirmed is deleted even then: it would be published once more otherwise.
    """

    def __init__(
        self, publisher: Publisher, *, go_on: Callable[[], bool] = lambda: True, memory: CourierMemory | None = None
    ) -> None:
        self._publisher = publisher
        self._go_on = go_on
        self._memory = memory or _memory
        self._sent, self._refusals = self._memory.sent, self._memory.refusals
        self._reader = OutboxReader()
        self._open: dict[str, OpenRow] = {}
        #: The next rows, read while the broker answered for the ones before.
        self._ahead: Batch | None = None
        self.seconds_until_due: float | None = None
        self.drained = False

    def carry(self) -> int:
        """Publish a batch and delete it. Raises ConnectionError, and what the database raises, once the rows that were
        confirmed are deleted or remembered."""
        moved = self._sent.delete_remembered()
        if len(self._sent) >= SENT_AT_MOST:
            return moved
        batch, self._ahead = self._ahead or self._next_batch(), None
        self.seconds_until_due = batch.seconds_until_due
        for_all = self._around_unreachable(batch.rows)
        moved += len(batch.rows) - len(for_all) + self._publish(for_all, more=not batch.complete)
        some_due = self.seconds_until_due is not None and self.seconds_until_due <= 0
        dangling = batch.dangling
        if some_due:
            room = max(DUE_ROWS_PER_PASS, ROWS_PER_PASS - len(batch.rows))
            self._postpone_refused()
            due = self._reader.due_batch(room, most_bytes=BYTES_PER_PASS, without=self._held_back(new=False))
            moved += self._publish(self._one_of_each_refused(due.rows))
            dangling = dangling + due.dangling
        moved += self._memory.dangling.sort_out(dangling)
        self.drained = batch.complete and not some_due
        return moved

    def keep_alive(self) -> None:
        self._reader.prepare()
        self._publisher.keep_alive()

    def close(self) -> None:
        reached("relay", None)
        self._ahead = None
        self._publisher.close()

    def _held_back(self, *, new: bool) -> list[int]:
        """Primary keys of new rows, or of those that wait for their time, that must not be published now."""
        held = (*self._sent.rows(), *(one.row for one in self._open.values()))
        return [row.pk for row in held if new == (not row.subscriber and row.due is None)]

    def _next_batch(self, *, after: Sequence[OutboxRow] = ()) -> Batch:
        without = [*self._held_back(new=True), *(row.pk for row in after)]
        return self._reader.next_batch(ROWS_PER_PASS, most_bytes=BYTES_PER_PASS, without=without)

    def _look_ahead(self, published: Sequence[OutboxRow]) -> None:
        """Ask for the next batch while the broker still answers for this one."""
        with suppress(Error):  # the delete that follows, or the next question, meets it again
            self._ahead = self._next_batch(after=published)

    def _publish(self, rows: list[OutboxRow], *, more: bool = False) -> int:
        """more: whether further rows wait behind these."""
        moved = self._give_up_on_silent()
        if not rows and not self._open:
            return moved
        if not self._go_on():
            raise GivenUpError("told not to go on")
        # No transaction is open while the broker is slow: it would hold rows, and VACUUM, for as long.
        meanwhile = partial(self._look_ahead, rows) if more else nothing
        publish = tracing.send(self._publisher.publish, rows)
        answers = publish([_outgoing(row) for row in rows], meanwhile=meanwhile)
        count_answers(len(rows), answers)
        for name in subscriptions:
            if (why := answers.missing.get(queue_of(name))) is not None:
                self._refusals.refused(name, why=why, singly=True)
        try:
            moved += self._settle(rows, answers)
            if answers.error is not None:
                raise answers.error
        except BaseException:
            self._ahead = None  # another relay may publish them before the next pass
            raise
        return moved

    def _settle(self, rows: list[OutboxRow], answers: Answers) -> int:
        """Settle rows by the answers for them; returns how many left the outbox."""
        by_id = {str(row.pk): row for row in rows} | {key: one.row for key, one in self._open.items()}
        self._open = {
            key: self._open.get(key) or OpenRow(by_id[key], time.monotonic())
            for key in answers.unanswered
            if key in by_id
        }
        confirmed = [by_id[key] for key in answers.confirmed if key in by_id]
        moved = self._sent.delete(confirmed)
        if self._refusals:
            self._note_accepted(confirmed)
        if answers.returned:
            moved += self._settle_returned([by_id[key] for key in answers.returned if key in by_id])
        if answers.refused:
            moved += self._settle_refused([by_id[key] for key in answers.refused if key in by_id])
        for key, why in answers.forbidden.items():
            if key in by_id:
                self._put_off([by_id[key]], why)
        return moved

    def _note_accepted(self, rows: Sequence[OutboxRow]) -> None:
        for name in {row.subscriber for row in rows if row.subscriber}:
            self._refusals.accepted(name)
        for topic in {row.envelope.topic for row in rows if not row.subscriber}:
            self._refusals.accepted_by_all(topic, _wanting(topic))

    def _settle_returned(self, rows: list[OutboxRow]) -> int:
        unknown = [row for row in rows if row.subscriber and row.subscriber not in subscriptions]
        lost = [row for row in rows if row.subscriber in subscriptions or _has_subscribers(row)]
        if unknown:
            with committed(using=router.db_for_write(OutboxMessage)):
                dead_letter(unknown, reason=UNKNOWN_SUBSCRIBER)
        kept = {row.pk for row in (*unknown, *lost)}
        moved = self._sent.delete([row for row in rows if row.pk not in kept])
        if lost:
            log.error("no queue took events that have subscribers", events=len(lost), first=str(lost[0].event_id))
            self._publisher.close()
            self._open.clear()
        self._put_off(lost, MISSING, unless_first=True)
        return len(unknown) + moved

    def _settle_refused(self, rows: list[OutboxRow]) -> int:
        for name in {row.subscriber for row in rows if row.subscriber}:
            self._refuse(name, REFUSED)
        self._put_off([row for row in rows if row.subscriber], REFUSED)
        return self._owe_by_itself([row for row in rows if not row.subscriber])

    def _refuse(self, name: str, why: str, *, singly: bool = False) -> None:
        """Note that a subscriber refuses. It is owed what was refused lately, when others were blamed alone."""
        if self._refusals.refused(name, why=why, singly=singly):
            missed = [row for row in self._refusals.charged_lately() if name in _wanting(row.envelope.topic)]
            there = StoredEvent.objects.filter(event_id__in=[row.event_id for row in missed])
            known = set(there.values_list("event_id", flat=True))
            self._owe([(row, name) for row in missed if row.event_id in known])

    def _put_off(self, rows: Iterable[OutboxRow], why: str, *, unless_first: bool = False) -> None:
        """Let rows wait until what refuses them is tried again."""
        by_refuser: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            by_refuser[row.subscriber or everybody(row.envelope.topic)].append(row.pk)
        for name, keys in by_refuser.items():
            if not (self._refusals.refused(name, why=why) and unless_first):
                OutboxMessage.objects.postpone(self._refusals.seconds_left(name), keys=keys)

    def _owe_by_itself(self, rows: list[OutboxRow]) -> int:
        """Owe events that not every queue took to each subscriber by itself, or to the known refusers alone."""
        owed: list[tuple[OutboxRow, str]] = []
        for row in rows:
            topic = row.envelope.topic
            wanting = _wanting(topic)
            refusing = [name for name in wanting if name in self._refusals]
            if refusing or self._refusals.others_are_to_blame(topic):
                self._refusals.charge(row)
                probed = self._refusals.to_probe(name for name in wanting if name not in refusing)
                owed += [(row, name) for name in (*refusing, *probed)]
            else:
                self._refusals.suspect(topic, wanting)
                owed += [(row, name) for name in wanting]
            if not refusing:
                log.warning("not every queue took an event", topic=topic, event_id=str(row.event_id))
        return self._replace(rows, owed)

    def _around_unreachable(self, rows: list[OutboxRow]) -> list[OutboxRow]:
        """The rows that may go to every queue. A queue that does not answer ends up holding up the connection, and of
        one that is not there the broker says nothing; so their events are owed to each subscriber by itself."""
        if not (unreachable := self._refusals.singly()):
            return rows
        affected = {row.pk for row in rows if unreachable.intersection(_wanting(row.envelope.topic))}
        self._owe_singly([row for row in rows if row.pk in affected])
        return [row for row in rows if row.pk not in affected]

    def _give_up_on_silent(self) -> int:
        """Treat rows that have had no answer for long as refused; returns how many left the outbox."""
        now = time.monotonic()
        late = {key: one.row for key, one in self._open.items() if now - one.since >= SILENT_AFTER}
        if not late:
            return 0
        for key in late:
            del self._open[key]
        if not self._open:
            self._publisher.close()  # what it still holds for the silent queue would hold up the next messages
        for name in {row.subscriber for row in late.values() if row.subscriber}:
            self._refuse(name, SILENT, singly=True)
        self._put_off([row for row in late.values() if row.subscriber], SILENT)
        return self._owe_singly([row for row in late.values() if not row.subscriber])

    def _owe_singly(self, rows: list[OutboxRow]) -> int:
        return self._replace(rows, [(row, name) for row in rows for name in _wanting(row.envelope.topic)])

    def _replace(self, rows: list[OutboxRow], owed: list[tuple[OutboxRow, str]]) -> int:
        """Replace rows for every subscriber by rows for single ones; returns how many were replaced."""
        if not rows:
            return 0
        with committed(using=router.db_for_write(OutboxMessage)):
            self._owe(owed)
            OutboxMessage.objects.remove(rows)
        return len(rows)

    def _owe(self, owed: Iterable[tuple[OutboxRow, str]]) -> None:
        OutboxMessage.objects.owe([(row, name, self._refusals.seconds_left(name)) for row, name in owed])

    def _postpone_refused(self) -> None:
        """Put off the due rows of subscribers that are not tried yet, so that they are not in the way of others."""
        for name in self._refusals.names():
            if (left := self._refusals.seconds_left(name)) > 0:
                OutboxMessage.objects.postpone_due(name, left, limit=POSTPONED_PER_PASS)

    def _one_of_each_refused(self, rows: list[OutboxRow]) -> list[OutboxRow]:
        """The rows, but only the first of each subscriber that refuses: it shows whether the others can go."""
        chosen: list[OutboxRow] = []
        tried = {one.row.subscriber for one in self._open.values()}
        for row in rows:
            if row.subscriber in self._refusals:
                if row.subscriber in tried or self._refusals.seconds_left(row.subscriber) > 0:
                    continue
                tried.add(row.subscriber)
            chosen.append(row)
        return chosen


#: The memory of this process, for brokers that have none of their own.
_memory = CourierMemory()


def _wanting(topic: str) -> list[str]:
    return [subscription.name for subscription in interested_in(topic)]


def _outgoing(row: OutboxRow) -> Outgoing:
    topic, queue = row.envelope.topic, queue_of(row.subscriber) if row.subscriber else ""
    body = row.envelope.encode()
    proof = signed_headers(body, route=queue or topic, run=row.run, attempt=row.attempt, priority=row.priority)
    return Outgoing(topic, queue, body, str(row.pk), row.priority, proof)


def _has_subscribers(row: OutboxRow) -> bool:
    return not row.subscriber and bool(interested_in(row.envelope.topic))
