"""The benchmarks' event."""

from events.bus import Event


class Struck(Event, topic="bench.struck", version=1, subject="bell/{bell}"):
    """A bell was struck."""

    number: int
    bell: int = 0
