"""report_start: the subscriber of the benchmarks."""

from benchmarks.start_time.events import Measured
from benchmarks.start_time.report import report_start_time
from events.bus import subscriber


@subscriber(Measured, name="bench.report_start")
def report_start(event: Measured) -> None:
    """Only reports when it started."""
    report_start_time(event.number)
