"""Measured: the event of the benchmarks."""

from events.bus import Event


class Measured(Event, topic="bench.measured", version=1, subject="item/{item}"):
    """An event whose way is measured. Events of one item are events of one subject."""

    number: int
    item: int = 0
