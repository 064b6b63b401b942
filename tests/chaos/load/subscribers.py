"""Subscribers of every kind. Each leaves one Effect per event, and can be told to die in its midst."""

from __future__ import annotations

import os
import re
import signal

from django.db import transaction
from django.db.models import F

from events.bus import PermanentFailure, emit, subscriber
from tests.chaos.load.crash_points import count_up, crash_if_set, hangs
from tests.chaos.load.events import Echoed, Struck
from tests.chaos.load.topics import ECHO_EVERY
from tests.effects.models import Account, Effect

RETRIES = {"max_retries": 3, "min_backoff": 100, "max_backoff": 2_000}


@subscriber(Struck)
def grouped(event: Struck) -> None:
    """Shares transactions, and answers some events with one of its own."""
    Effect.objects.create(subscriber="load.grouped", number=event.number, attempt=event.meta.attempt)
    if event.number % ECHO_EVERY == 0:
        emit(Echoed(clock=event.clock, number=event.number))
    if event.number % 2:
        crash_if_set("in the midst of a group")


@subscriber(Struck, batch=200)
def batched(events: list[Struck]) -> None:
    """Counts a list in one go; dies half-way."""
    half = len(events) // 2
    for part in (events[:half], events[half:]):
        Effect.objects.bulk_create([Effect(subscriber="load.batched", number=event.number) for event in part])
        crash_if_set("in the midst of a batch")


@subscriber("clock.struck")
def tallied(event: Struck) -> None:
    """A delta on a shared row, which a second run would falsify."""
    Effect.objects.create(subscriber="load.tallied", number=event.number)
    Account.objects.filter(pk=event.number % 8 + 1).update(balance=F("balance") + 1)


@subscriber(Struck, **RETRIES)
def moody(event: Struck) -> None:
    """Fails as the event's mood says: some times, for ever, at once for good, with its whole process, or hangs
    for hours."""
    Effect.objects.create(subscriber="load.moody", number=event.number, attempt=event.meta.attempt)
    match event.mood:
        case "once" if event.meta.attempt < 2:
            raise ValueError("not yet")
        case "twice" if event.meta.attempt < 3:
            raise ValueError("not yet")
        case "poison":
            raise ValueError("never")
        case "hopeless":
            raise PermanentFailure("no use")
        case "killer":
            count_up(f"killer_{event.number}", 1)
            os.kill(os.getpid(), signal.SIGKILL)
        case "stuck" if hangs(event.number):
            re.match(r"(a+)+$", "a" * 40 + "!")  # holds the interpreter's lock for hours


@subscriber(Echoed, group=1)
def alone(event: Echoed) -> None:
    """One event, one transaction; dies with the effect written and not committed, or committed and not acked."""
    Effect.objects.create(subscriber="load.alone", number=event.number, attempt=event.meta.attempt)
    crash_if_set("effect written")
    transaction.on_commit(lambda: crash_if_set("effect committed"))


@subscriber(Echoed, atomic=False, group=1, **RETRIES)
def own_transactions(event: Echoed) -> None:
    """Idempotent by itself, as atomic=False asks: two copies may run at the same time, a unique index decides."""
    Effect.objects.bulk_create([Effect(subscriber="load.own_transactions", number=event.number)], ignore_conflicts=True)
    crash_if_set("own transaction committed")
