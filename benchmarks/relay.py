"""The rate of Airy's relay beside a simple loop over the ORM that publishes one row, waits for its confirm, deletes it
and takes the next. Both take turns. Prints the median rate of each in events per second, and their ratio.

    python -m benchmarks.relay [--rounds 5] [--events 4000] [--singles 400]
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.ratio import print_ratio
from benchmarks.services import temporary_services


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--events", type=int, default=4_000, help="rows of a round of the relay")
    arguments.add_argument("--singles", type=int, default=400, help="rows of a round of the simple loop")
    options = arguments.parse_args()
    with temporary_services("airy_bench_relay", DJANGO_SETTINGS_MODULE="benchmarks.settings"):
        measure(options.rounds, options.events, options.singles)


def measure(rounds: int, events: int, singles: int) -> None:
    import dramatiq
    import pika
    from django.db import transaction

    from benchmarks.start_time.events import Measured
    from events.bus import emit_many
    from events.models import OutboxMessage

    broker = dramatiq.get_broker()
    courier = broker.courier()
    connection = pika.BlockingConnection(broker.parameters)
    channel = connection.channel()
    channel.confirm_delivery()

    def fill(count: int) -> None:
        with transaction.atomic():
            emit_many(Measured(number=number) for number in range(count))

    def relayed() -> float:
        fill(events)
        started = time.perf_counter()
        while courier.carry():
            pass
        return events / (time.perf_counter() - started)

    def confirmed_each() -> float:
        fill(singles)
        started = time.perf_counter()
        for row in OutboxMessage.objects.new()[:singles].select_related("event"):
            channel.basic_publish(
                broker.exchange,
                row.event.topic,
                row.event.envelope().encode(),
                pika.BasicProperties(
                    content_type="application/cloudevents+json",
                    delivery_mode=2,
                    message_id=str(row.pk),
                    priority=row.priority,
                    headers={"run": row.run, "attempt": row.attempt},
                ),
                mandatory=True,
            )
            row.delete()
        return singles / (time.perf_counter() - started)

    relayed(), confirmed_each()
    airy, simple = [], []
    for _ in range(rounds):
        airy.append(relayed())
        simple.append(confirmed_each())
        channel.queue_purge("airy.bench.report_start")
    print(f"relay {statistics.median(airy):8.0f} events/s   confirm each {statistics.median(simple):8.0f} events/s")
    print_ratio("relay / confirm each", airy, simple, "at least 10")
    courier.close()
    connection.close()


if __name__ == "__main__":
    main()
