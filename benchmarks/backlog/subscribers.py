"""Ours: subscribers with exactly one effect."""

from benchmarks.backlog.effects import clock, update
from events.bus import Event, subscriber


class Drained(Event, topic="drained.nothing", subject="row/{number}"):
    """An event that nobody does anything about."""

    number: int
    author_id: int
    title: str


class Counted(Event, topic="drained.counted", subject="row/{number}"):
    """An event that one row counts."""

    number: int
    author_id: int
    title: str


class Batched(Event, topic="drained.batched", subject="row/{number}"):
    """An event that comes in batches."""

    number: int
    author_id: int
    title: str


@subscriber(Drained)
def do_nothing(event: Drained) -> None:
    """The no-op."""
    clock.tick()


@subscriber(Counted)
def count(event: Counted) -> None:
    """One UPDATE per event."""
    update(event.number)
    clock.tick()


@subscriber(Batched, batch=200)
def do_nothing_in_batches(events: list[Batched]) -> None:
    """The no-op, 200 at a time."""
    clock.tick(len(events))
