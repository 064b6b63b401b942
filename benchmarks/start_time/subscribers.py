"""The benchmarks' subscriber."""

from benchmarks.start_time.events import Struck
from benchmarks.start_time.report import tell
from events.bus import subscriber


@subscriber(Struck, name="bench.hear")
def hear(event: Struck) -> None:
    """Only says when it began."""
    tell(event.number)
