"""What waiting rows cost those that may go: what the relay reads in a pass beside 1,000 rows and beside 1,000,000 that
are not due; strangers carried beside 20,000 delayed or blocked rows and beside none; and what emit_many takes per
event. Each crowd has tables of its own, so that the arms take turns.

    python -m benchmarks.outbox [--rows 1000000] [--rounds 7] [--strangers 3000]
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.ratio import print_ratio
from benchmarks.services import own_place

TABLES = ("events_storedevent", "events_outboxmessage")
CROWD = 20_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--strangers", type=int, default=3_000)
    options = arguments.parse_args()
    with own_place("airy_bench_outbox", DJANGO_SETTINGS_MODULE="benchmarks.settings"):
        claiming(options.rows, options.rounds)
        strangers(options.strangers, options.rounds)
        emitting(options.rounds)


@contextmanager
def tables(name: str) -> Iterator[None]:
    """Inside, log and outbox are those of this crowd."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")
        for table in TABLES:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {name}.{table} (LIKE public.{table} INCLUDING ALL)")
        cursor.execute(f"SET search_path TO {name}, public")
        yield
        cursor.execute("SET search_path TO public")


def crowd(count: int, *, subscriber: str = "", due: dt.datetime | None = None) -> None:
    """Rows of the outbox, each with its event, written by the database itself."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "WITH logged AS (INSERT INTO events_storedevent"
            " (event_id, topic, version, source, subject, time, data, correlation_id, traceparent, suppressed)"
            " SELECT gen_random_uuid(), 'bench.struck', 1, '/airy', '', now(), '{\"number\": 1}', gen_random_uuid(),"
            " '', '' FROM generate_series(1, %s) RETURNING event_id)"
            " INSERT INTO events_outboxmessage (event_id, subscriber, due, run, attempt, priority, claimed)"
            " SELECT event_id, %s, %s, 0, 1, 0, false FROM logged",
            [count, subscriber, due],
        )
        cursor.execute("VACUUM ANALYZE events_outboxmessage")
        cursor.execute("VACUUM ANALYZE events_storedevent")


def claiming(rows: int, rounds: int) -> None:
    from events.models import OutboxMessage

    far = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    near = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)

    def claim_fresh() -> float:
        started = time.perf_counter()
        fresh, until_due = OutboxMessage.objects.next_up(500)
        taken = time.perf_counter() - started
        assert len(fresh) == 500
        assert until_due is not None
        return taken

    def claim_due() -> float:
        started = time.perf_counter()
        ripe = OutboxMessage.objects.ripe()[:500].owed()
        taken = time.perf_counter() - started
        assert len(ripe) == 500
        return taken

    for name, count in (("few", 1_000), ("many", rows)):
        with tables(name):
            crowd(count, due=far)
            crowd(500)
            crowd(500, due=near)
    for what, claim in (("fresh", claim_fresh), ("due", claim_due)):
        taken: dict[str, list[float]] = {"few": [], "many": []}
        for turn in range(1 + 3 * rounds):
            for name in ("few", "many")[:: 1 if turn % 2 else -1]:
                with tables(name):
                    claim()  # its statement is planned anew, as the tables have changed
                    # One reading is short enough for a neighbour to disturb it: the middle of several counts.
                    taken[name].append(statistics.median(claim() for _ in range(9)))
        print(f"claim of 500 {what} rows: {statistics.median(taken['many']) * 1e3:.1f} ms beside {rows:,} waiting")
        print_ratio("  of what it takes beside 1,000", taken["many"], taken["few"], "at most 1.5")


def strangers(count: int, rounds: int) -> None:
    import dramatiq
    from django.db import transaction

    from benchmarks.start_time.events import Struck
    from events.brokers.embedded import EmbeddedBroker
    from events.bus import emit_many
    from events.relay.couriers import courier_for
    from events.subscription import subscriptions

    hears = "bench.hear"
    slow = next(name for name in subscriptions if name != hears)
    far = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)

    def embedded() -> EmbeddedBroker:
        broker = EmbeddedBroker()
        for subscription in subscriptions.values():
            broker.subscribe(subscription)
        return broker

    def rate(broker: dramatiq.Broker) -> float:
        courier = courier_for(broker)
        with transaction.atomic():
            emit_many(Struck(number=number) for number in range(count))
        started = time.perf_counter()
        left = count
        while left > 0:
            moved = courier.carry()
            if isinstance(broker, EmbeddedBroker):
                # Whoever works at the other end takes them at once and settles them.
                mailbox, moved = broker.mailboxes[f"airy.{hears}"], 0
                while arrivals := mailbox.take(500, timeout=0):
                    for arrival in arrivals:
                        broker.settle(arrival.tag)
                    mailbox.let_go(arrivals)
                    moved += len(arrivals)
            left -= moved
        taken = time.perf_counter() - started
        courier.close()
        return count / taken

    for number, (what, make, kwargs) in enumerate(
        (
            ("delayed, RabbitMQ", dramatiq.get_broker, {"due": far}),
            ("delayed, embedded", embedded, {"due": far}),
            ("blocked by a full mailbox, embedded", embedded, {"subscriber": slow}),
        )
    ):
        taken: dict[str, list[float]] = {f"alone_{number}": [], f"crowd_{number}": []}
        brokers = {name: make() for name in taken}
        alone, crowded = taken
        with tables(crowded):
            crowd(CROWD, **kwargs)  # type: ignore[arg-type]
        for turn in range(rounds + 1):
            for name in (alone, crowded)[:: 1 if turn % 2 else -1]:
                with tables(name):
                    figure = rate(brokers[name])
                if turn:
                    taken[name].append(figure)
        print(f"strangers beside {CROWD:,} {what}: {statistics.median(taken[crowded]):.0f}/s")
        print_ratio("  of the rate beside none", taken[crowded], taken[alone], "at least 0.9")


def emitting(rounds: int) -> None:
    from django.db import transaction

    from benchmarks.start_time.events import Struck
    from events.bus import emit_many

    taken: dict[int, list[float]] = {1: [], 100: [], 10_000: []}
    for _ in range(rounds):
        for count, times in taken.items():
            started = time.perf_counter()
            with transaction.atomic():
                emit_many(Struck(number=number) for number in range(count))
            times.append((time.perf_counter() - started) / count)
    for count, times in taken.items():
        print(f"emit_many of {count:6,}: {statistics.median(times) * 1e6:7.0f} us per event, commit included")


if __name__ == "__main__":
    main()
