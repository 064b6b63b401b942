"""How fast subscribers go on beside one that sleeps 20 s a call, and beside one that fails always, each with thousands
of events waiting. The three ways take turns. Prints the rate of the others in events per second, and the median of the
ratios of the single rounds.

    python -m benchmarks.starvation [--rounds 5] [--events 4000] [--waiting 3000]

The backlog is in RabbitMQ before the clock starts. The clock runs from the first effect of the others until the inbox
has their last one. Each drain is a process of its own, with eight threads.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
from multiprocessing.connection import Connection

from benchmarks.services import temporary_services

#: What waits beside the others' events: the name of the event and of its subscriber.
WAYS = {"alone": None, "beside a sleeper": ("Slept", "sleep"), "beside a failing one": ("Failed", "fail")}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--events", type=int, default=4_000)
    arguments.add_argument("--waiting", type=int, default=3_000, help="events of the sleeper or of the failing one")
    options = arguments.parse_args()
    environment = {"DJANGO_SETTINGS_MODULE": "benchmarks.backlog.settings", "LOG_LEVEL": "ERROR"}
    with temporary_services("airy_bench_starvation", **environment):
        measure(options.rounds, options.events, options.waiting)


def measure(rounds: int, events: int, waiting: int) -> None:
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds):
        for way in WAYS if turn % 2 else reversed(WAYS):
            rates[way].append(events / run_in_process(way, events, waiting))
    for way, found in rates.items():
        print(f"{way:22} {statistics.median(found):7.0f} events/s  [{min(found):.0f}..{max(found):.0f}]")
    for way in list(WAYS)[1:]:
        ratios = sorted(beside / alone for beside, alone in zip(rates[way], rates["alone"], strict=True))
        print(f"{way} / alone: {statistics.median(ratios):.2f} [{ratios[0]:.2f}..{ratios[-1]:.2f}] (at least 0.5)")


def run_in_process(way: str, events: int, waiting: int) -> float:
    """Seconds that the others' backlog takes."""
    from django.db import connections

    from benchmarks.backlog.systems import Airy, delete_queues, reset_tables

    delete_queues()
    reset_tables()
    if what := WAYS[way]:
        Airy(*what).store(waiting)
    Airy("Counted", "count", counts=True).store(events)
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        connection.close_pool()
    processes = multiprocessing.get_context("fork")
    receiver, sender = processes.Pipe()
    process = processes.Process(target=drain, args=(way, events, sender))
    process.start()
    sender.close()
    seconds: float = receiver.recv()
    process.join()
    return seconds


def drain(way: str, events: int, answer: Connection) -> None:
    """The process of its own. It does not wait for the sleepers."""
    from benchmarks.backlog.systems import Airy

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    beside = WAYS[way]
    answer.send(Airy("Counted", "count", counts=True, beside=beside[1] if beside else None).drain(events))
    answer.close()
    os._exit(0)


if __name__ == "__main__":
    main()
