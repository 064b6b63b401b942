"""The benchmarks' subscriber."""

from benchmarks.bells.clock import tell
from benchmarks.bells.events import Struck
from events.bus import subscriber


@subscriber(Struck, name="bench.hear")
def hear(event: Struck) -> None:
    """Only says when it began."""
    tell(event.number)
