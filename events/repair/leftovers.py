"""Leftovers: what is not needed any more, and does not go with an event of the log.

| what                                               | goes                                                            |
|----------------------------------------------------|-----------------------------------------------------------------|
| failed attempts of what succeeded or was discarded | after EVENTS_KEEP_ATTEMPTS (30 days)                            |
| dead letters                                       | become discarded, without their bytes, after                    |
|                                                    | EVENTS_KEEP_DEAD_LETTERS (for ever)                             |
| final rows of the inbox without an event: those of | after the longest time of EVENTS_KEEP (for ever, if some topics |
| other publishers, and of refused bytes             | have none), by the time of the row                              |

The id of another publisher's event does not say when it was made. So a copy of its message that comes later than that
takes effect again.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from random import getrandbits

from django.conf import settings
from django.db import connections, router
from django.db.models import Exists, OuterRef

from ..db.commit import committed
from ..db.dialect import database_now
from ..inbox.models import Attempt, Delivery
from ..keep import as_keep_time, keep_times
from ..outbox.event_id import AHEAD, FIRST, lowest_id
from ..outbox.models import StoredEvent
from .with_inbox import delete_attempts, delete_deliveries

#: How long failed attempts of what succeeded are kept, unless EVENTS_KEEP_ATTEMPTS says otherwise.
KEEP_ATTEMPTS = "30d"
#: Rows per transaction.
ROWS_PER_CHUNK = 1_000
#: States of a delivery whose attempts nobody needs.
SETTLED = ("done", "discarded")


@dataclass(kw_only=True)
class Leftovers:
    """How many rows went, or would go."""

    attempts: int = 0
    dead_letters: int = 0
    without_event: int = 0


def clear_leftovers(*, seconds: float | None = None, dry_run: bool = False) -> Leftovers:
    """Delete leftovers, in chunks, each a transaction. seconds: after which it ends, though not all is done.

    Raises ImproperlyConfigured, and whatever the database raises.
    """
    now = database_now(connections[router.db_for_write(Delivery)])
    end = None if seconds is None else time.monotonic() + seconds

    def may_go_on() -> bool:
        return end is None or time.monotonic() < end

    found = Leftovers()
    if keep := as_keep_time("EVENTS_KEEP_ATTEMPTS", getattr(settings, "EVENTS_KEEP_ATTEMPTS", KEEP_ATTEMPTS)):
        found.attempts = _clear_attempts(now - keep, may_go_on, dry_run)
    if keep := as_keep_time("EVENTS_KEEP_DEAD_LETTERS", getattr(settings, "EVENTS_KEEP_DEAD_LETTERS", None)):
        found.dead_letters = _discard_dead_letters(now - keep, may_go_on, dry_run)
    if keep := keep_times().longest():
        found.without_event = _clear_without_event(now, now - keep, may_go_on, dry_run)
    return found


def _clear_attempts(before: dt.datetime, may_go_on: Callable[[], bool], dry_run: bool) -> int:
    """Failed attempts in the order in which they were written, which is that of their times."""
    count = last = 0
    rows = Attempt.objects.order_by("pk").values_list("pk", "at", "delivery__state")
    while may_go_on() and (chunk := list(rows.filter(pk__gt=last)[:ROWS_PER_CHUNK])):
        going = [pk for pk, at, state in chunk if at < before and state in SETTLED]
        if not dry_run:
            with committed(using=router.db_for_write(Attempt)):
                delete_attempts(going)
        count += len(going)
        if all(at >= before for _, at, _ in chunk):
            break
        last = chunk[-1][0]
    return count


def _discard_dead_letters(before: dt.datetime, may_go_on: Callable[[], bool], dry_run: bool) -> int:
    count = last = 0
    rows = Delivery.objects.filter(state="dead").order_by("pk")
    while may_go_on() and (chunk := list(rows.filter(pk__gt=last).values_list("pk", "at")[:ROWS_PER_CHUNK])):
        old = [pk for pk, at in chunk if at < before]
        if dry_run:
            count += len(old)
        else:
            count += Delivery.objects.filter(pk__in=old, state="dead").update(state="discarded", body=None)
        last = chunk[-1][0]
    return count


def _clear_without_event(now: dt.datetime, before: dt.datetime, may_go_on: Callable[[], bool], dry_run: bool) -> int:
    """Ids that are no UUIDv7 lie nearly all beyond today's, evenly spread. So a pass that ends early begins anywhere,
    and goes round."""
    lowest, beyond = lowest_id(now + AHEAD).int, 1 << 128
    start = lowest + getrandbits(128) % (beyond - lowest)
    count = 0
    for first, end in ((start, beyond), (lowest, start), (0, lowest_id(FIRST).int)):
        at = first
        while may_go_on():
            rows = Delivery.objects.filter(event_id__gte=uuid.UUID(int=at)).order_by("event_id", "pk")
            chunk = list(rows.values_list("pk", "event_id", "state", "at")[:ROWS_PER_CHUNK])
            old = [
                pk for pk, event_id, state, time in chunk if event_id.int < end and state in SETTLED and time < before
            ]
            count += _delete_without_event(old, dry_run)
            if len(chunk) < ROWS_PER_CHUNK or chunk[-1][1].int >= end:
                break
            # The other rows of the last event are read again.
            at = chunk[-1][1].int + (chunk[0][1] == chunk[-1][1])
    return count


def _delete_without_event(keys: list[int], dry_run: bool) -> int:
    """Delete those of these rows whose event is not in the log: with an event that is, they go by prune."""
    event = StoredEvent.objects.filter(event_id=OuterRef("event_id"))
    chosen = Delivery.objects.filter(pk__in=keys, state__in=SETTLED).exclude(Exists(event)).order_by("pk")
    if dry_run:
        return chosen.count()
    with committed(using=router.db_for_write(Delivery)):
        going = list(chosen.select_for_update().values_list("pk", flat=True))
        delete_deliveries(going)
    return len(going)
