"""Whether events of one subject delay each other. A relay and a worker on RabbitMQ drain, in turns, a backlog of events
that all have one subject and a backlog in which each event has its own. Prints, for both, the median rate in events per
second from the commit until the last delivery is recorded as done, and the ratio of the two rates.

    python -m benchmarks.subjects [--rounds 7] [--events 2000]
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.ratio import print_ratio
from benchmarks.services import temporary_services

#: Seconds after which a drain that has not ended fails the benchmark.
DRAIN_TIMEOUT = 120


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--events", type=int, default=2_000)
    options = arguments.parse_args()
    with temporary_services("airy_bench_subjects", DJANGO_SETTINGS_MODULE="benchmarks.settings"):
        measure(options.rounds, options.events)


def measure(rounds: int, events: int) -> None:
    from django.db import transaction

    from benchmarks.start_time.events import Measured
    from events.bus import emit_many
    from events.models import Delivery
    from events.worker import running_worker

    done = Delivery.objects.filter(subscriber="bench.report_start", state="done")

    def rate(*, subjects: int) -> float:
        goal = done.count() + events
        with transaction.atomic():
            emit_many(Measured(number=number, item=number % subjects) for number in range(events))
        started = time.perf_counter()
        while done.count() < goal:
            if time.perf_counter() > started + DRAIN_TIMEOUT:
                raise SystemExit(f"not drained within {DRAIN_TIMEOUT} s")
            time.sleep(0.01)
        return events / (time.perf_counter() - started)

    rates: dict[int, list[float]] = {1: [], events: []}
    with running_worker(threads=8):
        rate(subjects=1)  # waits until the worker has started and warms it up
        for turn in range(rounds):
            for subjects in (1, events)[:: 1 if turn % 2 else -1]:
                rates[subjects].append(rate(subjects=subjects))
    for subjects, each in rates.items():
        print(f"{events:,} waiting events of {subjects:,} subjects: {statistics.median(each):.0f} events/s")
    print_ratio("one subject / one subject per event", rates[1], rates[events], "at least 0.8")


if __name__ == "__main__":
    main()
