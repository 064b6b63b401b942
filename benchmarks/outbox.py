"""How much waiting rows of the outbox slow down the others. Prints

1. the time of one claim of 500 rows beside 1,000,000 rows that are not due, in milliseconds, and its ratio to the time
   beside 1,000 such rows;
2. the rate of the relay beside 20,000 delayed or blocked rows, in events per second, and its ratio to the rate beside
   none;
3. the time of emit_many per event, in microseconds.

Each set of waiting rows has its own tables, so that the measurements can take turns.

    python -m benchmarks.outbox [--rows 1000000] [--rounds 7] [--unblocked-events 3000]
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.ratio import print_ratio
from benchmarks.services import temporary_services

TABLES = ("events_storedevent", "events_outboxmessage")
#: Waiting rows of the second measurement.
WAITING_ROWS = 20_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000, help="rows that are not due")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument(
        "--unblocked-events", "--strangers", type=int, default=3_000, help="events relayed beside the waiting rows"
    )
    options = arguments.parse_args()
    with temporary_services("airy_bench_outbox", DJANGO_SETTINGS_MODULE="benchmarks.settings"):
        claiming(options.rows, options.rounds)
        relaying(options.unblocked_events, options.rounds)
        emitting(options.rounds)


@contextmanager
def tables(name: str) -> Iterator[None]:
    """While inside, this connection uses the log and outbox of the schema `name`, made if missing."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")
        for table in TABLES:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {name}.{table} (LIKE public.{table} INCLUDING ALL)")
        cursor.execute(f"SET search_path TO {name}, public")
        yield
        cursor.execute("SET search_path TO public")


def insert_rows(count: int, *, subscriber: str = "", due: dt.datetime | None = None) -> None:
    """Insert rows of the outbox, each with its event, in one SQL statement."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "WITH logged AS (INSERT INTO events_storedevent"
            " (event_id, topic, version, source, subject, time, data, correlation_id, traceparent, suppressed)"
            " SELECT gen_random_uuid(), 'bench.measured', 1, '/airy', '', now(), '{\"number\": 1}', gen_random_uuid(),"
            " '', '' FROM generate_series(1, %s) RETURNING event_id)"
            " INSERT INTO events_outboxmessage (event_id, subscriber, due, run, attempt, priority, claimed)"
            " SELECT event_id, %s, %s, 0, 1, 0, false FROM logged",
            [count, subscriber, due],
        )
        cursor.execute("VACUUM ANALYZE events_outboxmessage")
        cursor.execute("VACUUM ANALYZE events_storedevent")


def claiming(rows: int, rounds: int) -> None:
    from events.models import OutboxMessage

    next_day = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    day_before = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)

    def claim_new() -> float:
        started = time.perf_counter()
        batch = OutboxMessage.objects.next_batch(500)
        taken = time.perf_counter() - started
        assert len(batch.rows) == 500
        assert batch.seconds_until_due is not None
        return taken

    def claim_due() -> float:
        started = time.perf_counter()
        batch = OutboxMessage.objects.due_batch(500)
        taken = time.perf_counter() - started
        assert len(batch.rows) == 500
        return taken

    for name, count in (("few", 1_000), ("many", rows)):
        with tables(name):
            insert_rows(count, due=next_day)
            insert_rows(500)
            insert_rows(500, due=day_before)
    for what, claim in (("new", claim_new), ("due", claim_due)):
        taken: dict[str, list[float]] = {"few": [], "many": []}
        for turn in range(1 + 3 * rounds):
            for name in ("few", "many")[:: 1 if turn % 2 else -1]:
                with tables(name):
                    claim()  # the first statement after a change of tables is planned again
                    # One claim is short, so other processes can disturb it: take the median of several.
                    taken[name].append(statistics.median(claim() for _ in range(9)))
        print(f"claim of 500 {what} rows: {statistics.median(taken['many']) * 1e3:.1f} ms beside {rows:,} waiting")
        print_ratio("  ratio to the time beside 1,000", taken["many"], taken["few"], "at most 1.5")


def relaying(count: int, rounds: int) -> None:
    import dramatiq
    from django.db import transaction

    from benchmarks.start_time.events import Measured
    from events.brokers.embedded import EmbeddedBroker
    from events.bus import emit_many
    from events.subscription import subscriptions

    measured = "bench.report_start"
    blocked = next(name for name in subscriptions if name != measured)
    next_day = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)

    def embedded() -> EmbeddedBroker:
        broker = EmbeddedBroker()
        for subscription in subscriptions.values():
            broker.subscribe(subscription)
        return broker

    def rate(broker: dramatiq.Broker) -> float:
        courier = broker.courier()
        with transaction.atomic():
            emit_many(Measured(number=number) for number in range(count))
        started = time.perf_counter()
        left = count
        while left > 0:
            moved = courier.carry()
            if isinstance(broker, EmbeddedBroker):
                # Take the events at once and settle them, as a worker would.
                mailbox, moved = broker.mailboxes[f"airy.{measured}"], 0
                while messages := mailbox.take(500, timeout=0):
                    for message in messages:
                        broker.settle(message.tag)
                    mailbox.settled(messages)
                    moved += len(messages)
            left -= moved
        taken = time.perf_counter() - started
        courier.close()
        return count / taken

    for number, (what, make, waiting) in enumerate(
        (
            ("delayed, RabbitMQ", dramatiq.get_broker, {"due": next_day}),
            ("delayed, embedded", embedded, {"due": next_day}),
            ("blocked by a full mailbox, embedded", embedded, {"subscriber": blocked}),
        )
    ):
        taken: dict[str, list[float]] = {f"alone_{number}": [], f"beside_{number}": []}
        brokers = {name: make() for name in taken}
        alone, beside = taken
        with tables(beside):
            insert_rows(WAITING_ROWS, **waiting)  # type: ignore[arg-type]
        for turn in range(rounds + 1):
            for name in (alone, beside)[:: 1 if turn % 2 else -1]:
                with tables(name):
                    measured_rate = rate(brokers[name])
                if turn:
                    taken[name].append(measured_rate)
        print(f"relay beside {WAITING_ROWS:,} rows {what}: {statistics.median(taken[beside]):.0f} events/s")
        print_ratio("  ratio to the rate beside none", taken[beside], taken[alone], "at least 0.9")


def emitting(rounds: int) -> None:
    from django.db import transaction

    from benchmarks.start_time.events import Measured
    from events.bus import emit_many

    taken: dict[int, list[float]] = {1: [], 100: [], 10_000: []}
    for _ in range(rounds):
        for count, times in taken.items():
            started = time.perf_counter()
            with transaction.atomic():
                emit_many(Measured(number=number) for number in range(count))
            times.append((time.perf_counter() - started) / count)
    for count, times in taken.items():
        print(f"emit_many of {count:6,}: {statistics.median(times) * 1e6:7.0f} us per event, commit included")


if __name__ == "__main__":
    main()
