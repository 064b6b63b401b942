"""What the relay and a worker hold in memory: warm, beside a million rows that wait for their time, and after a long
backlog was drained. Both are processes of their own.

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

from benchmarks.outbox import crowd
from benchmarks.services import own_place

WARM = 10_000
#: How long anything may take, in seconds.
PATIENCE = 300


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--events", type=int, default=100_000)
    options = arguments.parse_args()
    with own_place("airy_bench_memory", DJANGO_SETTINGS_MODULE="benchmarks.settings"), processes() as started:
        measure(started, options.rows, options.events)


@contextmanager
def processes() -> Iterator[dict[str, subprocess.Popen]]:
    """A relay that is active, and a worker whose own relay stands by."""
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
    drain(WARM)
    warm = held(started)
    crowd(rows, due=dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    drain(WARM)
    beside = held(started)
    drain(events)
    after = held(started)
    for kind in started:
        print(
            f"{kind}: {warm[kind]:.0f} MB warm, {beside[kind] - warm[kind]:+.1f} MB beside {rows:,} waiting rows,"
            f" {after[kind] - beside[kind]:+.1f} MB more once {events:,} events were drained"
        )


def drain(events: int) -> None:
    """Emit so many, and wait until each is done and none is left but those that wait for their time."""
    from django.db import transaction

    from benchmarks.start_time.events import Struck
    from events.bus import emit_many
    from events.models import Delivery, OutboxMessage

    done = Delivery.objects.filter(subscriber="bench.hear", state="done")
    goal = done.count() + events
    for start in range(0, events, 1_000):
        with transaction.atomic():
            emit_many(Struck(number=number) for number in range(start, min(start + 1_000, events)))
    wait(lambda: not OutboxMessage.objects.fresh().exists() and done.count() == goal, "not drained")


def held(started: dict[str, subprocess.Popen]) -> dict[str, float]:
    """The resident memory of each with its children, in MB."""
    return {kind: sum(map(_resident, _family(process.pid))) for kind, process in started.items()}


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def wait(reached: Callable[[], bool], otherwise: str) -> None:
    """Wait until a condition holds; else end with these words."""
    deadline = time.monotonic() + PATIENCE
    while not reached():
        if time.monotonic() > deadline:
            raise SystemExit(f"{otherwise} within {PATIENCE} s")
        time.sleep(0.1)


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parent.parent)
    main()
