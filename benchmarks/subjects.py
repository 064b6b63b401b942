"""Whether the events of one subject hold each other up: a backlog that is all about one bell and one about as many
bells as events, drained in turn by the relay and a worker on RabbitMQ, from the commit until the last is safe.

    python -m benchmarks.subjects [--rounds 7] [--events 2000]
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.ratio import print_ratio
from benchmarks.services import own_place

#: How long a drain may take, in seconds.
PATIENCE = 120


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--events", type=int, default=2_000)
    options = arguments.parse_args()
    with own_place("airy_bench_subjects", DJANGO_SETTINGS_MODULE="benchmarks.settings"):
        measure(options.rounds, options.events)


def measure(rounds: int, events: int) -> None:
    from django.db import transaction

    from benchmarks.start_time.events import Struck
    from events.bus import emit_many
    from events.models import Delivery
    from events.worker import running_worker

    done = Delivery.objects.filter(subscriber="bench.hear", state="done")

    def rate(*, bells: int) -> float:
        goal = done.count() + events
        with transaction.atomic():
            emit_many(Struck(number=number, bell=number % bells) for number in range(events))
        started = time.perf_counter()
        while done.count() < goal:
            if time.perf_counter() > started + PATIENCE:
                raise SystemExit(f"not drained within {PATIENCE} s")
            time.sleep(0.01)
        return events / (time.perf_counter() - started)

    taken: dict[int, list[float]] = {1: [], events: []}
    with running_worker(threads=8):
        rate(bells=1)  # the worker is up and warm
        for turn in range(rounds):
            for bells in (1, events)[:: 1 if turn % 2 else -1]:
                taken[bells].append(rate(bells=bells))
    for bells, rates in taken.items():
        print(f"{events:,} waiting events of {bells:,} subjects: {statistics.median(rates):.0f} events/s")
    print_ratio("of one subject / of as many as events", taken[1], taken[events], "at least 0.8")


if __name__ == "__main__":
    main()
