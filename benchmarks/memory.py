"""The resident memory of a relay and of a worker, each with its child processes, in MB: after 10,000 events, beside a
million outbox rows that are not due, and after a long backlog was drained.

    python -m benchmarks.memory [--rows 1000000] [--events 100000]
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.outbox import insert_rows
from benchmarks.services import temporary_services

#: Events before the first measurement, so that caches and pools are filled.
WARM_UP_EVENTS = 10_000
#: Seconds after which a wait fails the benchmark.
TIMEOUT = 300


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000, help="outbox rows that are not due")
    arguments.add_argument("--events", type=int, default=100_000, help="events of the long backlog")
    options = arguments.parse_args()
    with temporary_services("airy_bench_memory", DJANGO_SETTINGS_MODULE="benchmarks.settings"), processes() as started:
        measure(started, options.rows, options.events)


@contextmanager
def processes() -> Iterator[dict[str, subprocess.Popen]]:
    """An active relay, and a worker whose own relay is on standby."""
    from events.models import Process

    commands = {"relay": ("relay",), "worker": ("rundramatiq", "--processes", "1", "--threads", "8")}
    started: dict[str, subprocess.Popen] = {}
    try:
        for kind, command in commands.items():
            started[kind] = subprocess.Popen((sys.executable, "manage.py", *command), stdout=subprocess.DEVNULL)
            wait(lambda: Process.objects.filter(figures__relay_active=True).exists(), "no relay is active")
        yield started
    finally:
        for process in started.values():
            process.terminate()
            process.wait(60)


def measure(started: dict[str, subprocess.Popen], rows: int, events: int) -> None:
    drain(WARM_UP_EVENTS)
    warm = memory(started)
    insert_rows(rows, due=dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    drain(WARM_UP_EVENTS)
    beside = memory(started)
    drain(events)
    after = memory(started)
    for kind in started:
        print(
            f"{kind}: {warm[kind]:.0f} MB warm, {beside[kind] - warm[kind]:+.1f} MB beside {rows:,} waiting rows,"
            f" {after[kind] - beside[kind]:+.1f} MB more once {events:,} events were drained"
        )


def drain(events: int) -> None:
    """Emit that many events, and wait until each is done and only rows that are not due are left."""
    from django.db import transaction

    from benchmarks.start_time.events import Measured
    from events.bus import emit_many
    from events.models import Delivery, OutboxMessage

    done = Delivery.objects.filter(subscriber="bench.report_start", state="done")
    goal = done.count() + events
    for start in range(0, events, 1_000):
        with transaction.atomic():
            emit_many(Measured(number=number) for number in range(start, min(start + 1_000, events)))
    wait(lambda: not OutboxMessage.objects.new().exists() and done.count() == goal, "not drained")


def memory(started: dict[str, subprocess.Popen]) -> dict[str, float]:
    """The memory of each process with its children, in MB; what they share counts once."""
    return {kind: sum(map(_proportional, _with_children(process.pid))) for kind, process in started.items()}


def _with_children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in _with_children(int(child)))]


def _proportional(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def wait(condition: Callable[[], bool], failure: str) -> None:
    """Wait until a condition holds. Raises SystemExit with the text `failure` after TIMEOUT seconds."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{failure} within {TIMEOUT} s")
        time.sleep(0.1)


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parent.parent)
    main()
