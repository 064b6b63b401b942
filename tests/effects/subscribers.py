"""Subscribers of every kind; each leaves one Effect per event."""

import os
import re
import signal
import time

from django.db import connection
from django.db.models.signals import post_save
from django.dispatch import receiver

from events.bus import PermanentFailure, RetryAfter, continue_with, emit, subscriber
from tests.chaos.load.crash_points import count_up
from tests.effects.events import BalanceChanged, Knocked, Rang, Walked
from tests.effects.models import Account, Effect

#: Moods that make `moody` fail, and how.
FAILURES = {"hopeless": PermanentFailure("no use"), "later": RetryAfter(0.1), "poison": ValueError("poison")}


@subscriber(Rang, max_retries=2, min_backoff=50, max_backoff=200)
def moody(event: Rang) -> None:
    """Fails as the event's mood says; "twice" fails two times and then goes well."""
    Effect.objects.create(subscriber="moody", number=event.number, attempt=event.meta.attempt)
    if event.mood in FAILURES:
        raise FAILURES[event.mood]
    if event.mood == "twice" and event.meta.attempt < 3:
        raise ValueError("not yet")
    if event.mood == "killer":
        count_up(f"killer_{event.number}", 1)
        os.kill(os.getpid(), signal.SIGKILL)
    if event.mood == "stuck":
        count_up("stuck", 1)
        re.match(r"(a+)+$", "a" * 40 + "!")  # takes hours, and holds the interpreter's lock


@subscriber("bell.*", batch=200, max_retries=2, min_backoff=50, max_backoff=200)
def in_batches(events: list[Rang]) -> None:
    """Counts a list of events in one go."""
    if any(event.mood == "poison" for event in events):
        raise ValueError("poison in the batch")
    Effect.objects.bulk_create([Effect(subscriber="in_batches", number=event.number) for event in events])


@subscriber(Rang, group=1)
def alone(event: Rang) -> None:
    """Never shares a transaction."""
    Effect.objects.create(subscriber="alone", number=event.number)


@subscriber(Rang, name="effects.asynchronous")
async def with_await(event: Rang) -> None:
    """An async subscriber, in the same transaction."""
    await Effect.objects.acreate(subscriber="with_await", number=event.number)


#: The advisory lock that is the gate: while a test holds it, those who knock stand before it.
GATE = 0x67617465


@subscriber(Knocked, group=1)
def stand_before_the_gate(event: Knocked) -> None:
    """Waits until the gate opens, and writes down how long that took."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (began,) = cursor.fetchone()
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [GATE])
        cursor.execute(
            "INSERT INTO effects_stay (number, began, ended) VALUES (%s, %s, clock_timestamp())", [event.number, began]
        )


@subscriber(Walked, min_backoff=50, max_backoff=200, replayable=True)
def walk(event: Walked) -> None:
    """Long work: one step of it in each delivery. In the mood "stumble" the third step fails twice."""
    Effect.objects.create(subscriber=f"walk_{event.number}", number=event.at, attempt=event.meta.attempt)
    time.sleep(event.seconds)  # the work
    if event.mood == "stumble" and event.at == 2 and event.meta.attempt < 3:
        raise ValueError("stumbled")
    if event.at + 1 < event.steps:
        continue_with(event.model_copy(update={"at": event.at + 1}))


@subscriber("walk.*")
def see_walks(event: Walked) -> None:
    """Wants the same topic as the long work, and none of its steps."""
    Effect.objects.create(subscriber=f"seen_{event.number}", number=event.at)


@receiver(post_save, sender=Account)
def tell_of_balance(instance: Account, **kwargs: object) -> None:
    """The account's one line in its table of model changes."""
    before = instance.previous.balance if instance.previous else 0
    if before != instance.balance:
        emit(BalanceChanged(account_id=instance.pk, before=before, after=instance.balance))
