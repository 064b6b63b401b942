"""The relay's rate beside that of a loop as one would write it, which takes each row by itself through the ORM:
published, confirmed, deleted. Interleaved rounds.

    python -m benchmarks.relay [--rounds 5] [--events 4000] [--singles 400]
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.ratio import print_ratio
from benchmarks.services import own_place


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--events", type=int, default=4_000)
    arguments.add_argument("--singles", type=int, default=400)
    options = arguments.parse_args()
    with own_place("airy_bench_relay", DJANGO_SETTINGS_MODULE="benchmarks.settings"):
        measure(options.rounds, options.events, options.singles)


def measure(rounds: int, events: int, singles: int) -> None:
    import dramatiq
    import pika
    from django.db import transaction

    from benchmarks.start_time.events import Struck
    from events.bus import emit_many
    from events.models import OutboxMessage
    from events.relay.couriers import courier_for

    broker = dramatiq.get_broker()
    courier = courier_for(broker)
    connection = pika.BlockingConnection(broker.parameters)
    channel = connection.channel()
    channel.confirm_delivery()

    def fill(count: int) -> None:
        with transaction.atomic():
            emit_many(Struck(number=number) for number in range(count))

    def relayed() -> float:
        fill(events)
        started = time.perf_counter()
        while courier.carry():
            pass
        return events / (time.perf_counter() - started)

    def confirmed_each() -> float:
        fill(singles)
        started = time.perf_counter()
        for row in OutboxMessage.objects.fresh()[:singles].select_related("event"):
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
    ours, peer = [], []
    for _ in range(rounds):
        ours.append(relayed())
        peer.append(confirmed_each())
        channel.queue_purge("airy.bench.hear")
    print(f"relay {statistics.median(ours):8.0f} events/s   confirm each {statistics.median(peer):8.0f} events/s")
    print_ratio("relay / confirm each", ours, peer, "at least 10")
    courier.close()
    connection.close()


if __name__ == "__main__":
    main()
