"""How fast one worker process drains a backlog: Airy, with exactly one effect per event, beside plain dramatiq, which
has no such guarantee, and beside other outboxes. The systems take turns. Prints for each the median rate in events per
second and the processor time per event in microseconds, then the median of the ratios of the single rounds.

    python -m benchmarks.drain [--rounds 5] [--events 5000]

The backlog is stored before the clock starts. The clock runs from the first effect until the last one is committed (for
Airy, until the inbox records it). Each drain is a process of its own. Peers that are not installed
(benchmarks/requirements.txt) are left out.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import statistics
import time
from multiprocessing.connection import Connection

from benchmarks.services import temporary_services

#: Airy, the other system, and the required ratio of their events per second.
BOUNDS = (
    ("airy no-op", "dramatiq no-op", "at least 1.2, aim 2.5"),
    ("airy batch", "dramatiq no-op", "at least 2, aim 3"),
    ("airy update", "dramatiq update", "at least 2"),
    ("airy no-op, redelivered", "dramatiq update", "reported"),
    ("airy no-op", "reliable-outbox no-op", "at least 2"),
    ("airy no-op", "reliable-outbox no-op, 4 threads", "at least 2"),
    ("airy no-op", "domain-events no-op", "at least 2"),
)
#: Share of the backlog that a slower system drains.
BACKLOG_SHARE = {"airy no-op, redelivered": 0.2, "dramatiq update": 0.5, "domain-events no-op": 0.2}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--events", type=int, default=5_000)
    arguments.add_argument("--only", help="systems whose names match this regular expression")
    arguments.add_argument("--log-level", default="INFO", help="what the workers log; it goes to /dev/null")
    options = arguments.parse_args()
    with temporary_services(
        "airy_bench_drain", DJANGO_SETTINGS_MODULE="benchmarks.backlog.settings", LOG_LEVEL=options.log_level
    ):
        measure(options.rounds, options.events, options.only or "")


def measure(rounds: int, events: int, only: str) -> None:
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    from benchmarks.backlog.systems import SYSTEMS, reset_tables

    installed = {"airy", "dramatiq", *(name.removeprefix("django_").replace("_", "-") for name in settings.PEERS)}
    names = [name for name in SYSTEMS if name.split()[0] in installed and re.search(only, name)]
    rates: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names if turn % 2 else reversed(names):
            count = int(events * BACKLOG_SHARE.get(name, 1))
            reset_tables()
            SYSTEMS[name]().store(count)
            figures = run_in_process(name, count)
            rates[name].append(count / figures["seconds"])
            cpu[name].append(figures["cpu"] / count * 1e6)
    for name in names:
        print(
            f"{name:34} {statistics.median(rates[name]):7.0f} events/s"
            f"  {statistics.median(cpu[name]):5.0f} us CPU each  [{min(rates[name]):.0f}..{max(rates[name]):.0f}]"
        )
    for ours, other, bound in BOUNDS:
        if ours in rates and other in rates:
            ratios = sorted(a / b for a, b in zip(rates[ours], rates[other], strict=True))
            print(
                f"{ours} / {other}: {statistics.median(ratios):.2f} [{ratios[0]:.2f}..{ratios[-1]:.2f}] ({bound})",
                flush=True,
            )


def run_in_process(name: str, events: int) -> dict[str, float]:
    """Drain the backlog in a process of its own; gives `seconds`, and `cpu` in seconds of processor time."""
    from django.db import connections

    connections.close_all()
    for connection in connections.all(initialized_only=True):
        connection.close_pool()
    processes = multiprocessing.get_context("fork")
    receiver, sender = processes.Pipe()
    process = processes.Process(target=drain, args=(name, events, sender))
    process.start()
    sender.close()
    figures = receiver.recv()
    process.join()
    return figures


def drain(name: str, events: int, answer: Connection) -> None:
    """The process of its own: drain and send the figures."""
    from benchmarks.backlog.systems import SYSTEMS

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # logging costs what it costs in production, but prints nothing
    system = SYSTEMS[name]()
    began = time.process_time()
    seconds = system.drain(events)
    answer.send({"seconds": seconds, "cpu": time.process_time() - began})


if __name__ == "__main__":
    main()
