"""Airy's events and subscribers."""

import time

from benchmarks.backlog.effects import clock, update
from events.bus import Event, subscriber


class Ignored(Event, topic="backlog.ignored", subject="row/{number}"):
    """An event without an effect."""

    number: int
    author_id: int
    title: str


class Counted(Event, topic="backlog.counted", subject="row/{number}"):
    """An event whose effect is one UPDATE."""

    number: int
    author_id: int
    title: str


class Slept(Event, topic="backlog.slept", subject="row/{number}"):
    """An event whose subscriber sleeps."""

    number: int
    author_id: int
    title: str


class Failed(Event, topic="backlog.failed", subject="row/{number}"):
    """An event whose subscriber fails."""

    number: int
    author_id: int
    title: str


class Batched(Event, topic="backlog.batched", subject="row/{number}"):
    """An event that is delivered in batches, without an effect."""

    number: int
    author_id: int
    title: str


@subscriber(Ignored)
def do_nothing(event: Ignored) -> None:
    """The no-op."""
    clock.count_effects()


@subscriber(Counted)
def count(event: Counted) -> None:
    """One UPDATE per event."""
    update(event.number)
    clock.count_effects()


@subscriber(Slept)
def sleep(event: Slept) -> None:
    """20 s a call."""
    time.sleep(20)


@subscriber(Failed, max_retries=2)
def fail(event: Failed) -> None:
    """Every time, three times."""
    raise ValueError("always")


@subscriber(Batched, batch=200)
def do_nothing_in_batches(events: list[Batched]) -> None:
    """The no-op, 200 at a time."""
    clock.count_effects(len(events))
