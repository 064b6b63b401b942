"""How long it takes to say how far a subscription is behind, beside a log of 10 million events of 400 days and an inbox
of as many rows: in plain tables, then in partitions of 30 days. Prints, for each of several subscriptions, what
`backlogs()` says of it and the median time in milliseconds, which is to be at most 100; the time of one statement that
counts the log and the inbox; and how long `manage.py partition` took, with the slowest hundredth of emits before it and
beside it.

    python -m benchmarks.behind [--events 10000000] [--rounds 5] [--plans]
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from typing import Any

from benchmarks.services import temporary_services

#: A subscription: its pattern, up to which event everything is accounted for, and SQL that says which events it has a
#: row of the inbox for (n: number of the event), in which state.
CASES = {
    "nothing behind": ("#", "{all}", "false", "done"),
    "50 behind": ("#", "{all} - 50", "false", "done"),
    "9,999 behind": ("#", "{all} - 9999", "false", "done"),
    "7,000 behind, as many done between": ("#", "{all} - 14000", "n > {all} - 14000 AND n % 2 = 0", "done"),
    "half of the log behind": ("#", "{all} / 2", "n <= {all} / 2", "done"),
    "one in 2,000 events, all behind": ("bench.rare", "0", "false", "done"),
    "50 behind, not reconciled for a tenth": (
        "#",
        "{all} - {all} / 10",
        "n > {all} - {all} / 10 AND n <= {all} - 50",
        "done",
    ),
    "9,000 retrying": ("#", "{all}", "n % ({all} / 9000) = 0", "retrying"),
    "9,000 asked for by a replay": ("#", "{all}", "false", "done"),
    "9,000 of the whole log asked for by a replay": ("#", "{all}", "false", "done"),
    "100,000 dead": ("#", "{all}", "n % ({all} / 100000) = 0", "dead"),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--plans", action="store_true", help="print each statement with its plan, too")
    options = arguments.parse_args()
    with temporary_services("airy_bench_behind", DJANGO_SETTINGS_MODULE="benchmarks.settings"):
        make_plain()
        fill(options.events)
        measure(options.rounds)
        count_all()
        partition()
        measure(options.rounds)
        count_all()
        if options.plans:
            print_plans()


def execute(sql: str) -> Any:
    """Run one statement; returns its rows, if it has any."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else None


def make_plain() -> None:
    from events.repair.partitions import log_and_inbox

    log_and_inbox().reshape_few(partitioned=False)


def partition() -> None:
    """Partition log and inbox while somebody emits."""
    from events.repair.partitions import log_and_inbox

    execute(
        "SELECT setval(pg_get_serial_sequence('events_storedevent', 'sequence'), max(sequence)) FROM events_storedevent"
    )
    execute("SET session_replication_role = origin")
    stop, before, beside = threading.Event(), list[float](), list[float]()
    stop_before = threading.Timer(10.0, stop.set)
    stop_before.start()
    emit_until(stop, before)
    stop.clear()
    emitting = threading.Thread(target=emit_until, args=(stop, beside))
    emitting.start()
    started = time.perf_counter()
    try:
        log_and_inbox().reshape(partitioned=True)
    finally:
        took = time.perf_counter() - started
        stop.set()
        emitting.join()
    execute("DELETE FROM events_storedevent WHERE topic = 'bench.measured'")
    execute("DELETE FROM events_outboxmessage")
    execute("VACUUM ANALYZE events_storedevent, events_delivery, events_outboxmessage")
    p99, p99_beside = (sorted(one)[int(len(one) * 0.99)] * 1e3 for one in (before, beside))
    print(
        f"partitioned in {took:,.0f} s; the slowest hundredth of {len(beside):,} emits took {p99_beside:.1f} ms beside"
        f" it and {p99:.1f} ms before: {p99_beside / p99:.1f} times; the slowest {max(beside) * 1e3:.0f} ms",
        flush=True,
    )


def emit_until(stop: threading.Event, taken: list[float]) -> None:
    """Emit 100 events a second, and note the seconds that each took."""
    from django.db import connection, transaction

    from benchmarks.start_time.events import Measured
    from events.bus import emit

    while not stop.wait(0.01):
        started = time.perf_counter()
        with transaction.atomic():
            emit(Measured(number=len(taken)))
        taken.append(time.perf_counter() - started)
    connection.close()


def fill(events: int) -> None:
    """Write log, inbox and watchlist without indexes, and make these afterwards."""
    tables = ("events_storedevent", "events_delivery")
    quoted = ", ".join(f"'{table}'" for table in tables)
    indexes = [sql for (sql,) in execute(f"SELECT indexdef FROM pg_indexes WHERE tablename IN ({quoted})")]
    names = execute(f"SELECT indexrelid::regclass FROM pg_index WHERE indrelid::regclass::text IN ({quoted})")
    owned = execute(
        "SELECT conrelid::regclass, conname, CASE contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END"
        " FROM pg_constraint WHERE contype IN ('p', 'u')"
        f" AND conrelid::regclass::text IN ({quoted})"
    )
    execute("SET session_replication_role = replica")  # without triggers
    execute("SET maintenance_work_mem = '512MB'")
    for table, constraint, _ in owned:
        execute(f'ALTER TABLE {table} DROP CONSTRAINT "{constraint}" CASCADE')
    for (name,) in names:
        execute(f"DROP INDEX IF EXISTS {name}")
    for table in tables:
        execute(f"ALTER TABLE {table} SET UNLOGGED")
    # Ids grow with time, as UUIDv7 do.
    now, apart = int(time.time() * 1000), 400 * 86_400_000 // events
    made = f"{now} - ({events} - n) * {apart}::bigint"
    event_id = f"(lpad(to_hex({made}), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid"
    execute(
        "INSERT INTO events_storedevent (sequence, event_id, topic, version, source, subject, time, data,"
        " correlation_id, traceparent, suppressed)"
        f" SELECT n, {event_id}, CASE WHEN n % 2000 = 0 THEN 'bench.rare' ELSE 'bench.topic_' || n % 8 END, 1, '/airy',"
        f" 'bench/' || n, now() - ({events} - n) * interval '{apart} ms',"
        f" jsonb_build_object('number', n, 'title', repeat('x', 100)), {event_id}, '', ''"
        f" FROM generate_series(1, {events}) n"
    )
    execute("TRUNCATE events_subscription")
    for name, (pattern, accounted, has_row, state) in CASES.items():
        accounted, has_row = accounted.format(all=events), has_row.format(all=events)
        execute(
            "INSERT INTO events_subscription (name, queue, patterns, since, seen_at, bindings, accounted)"
            f" VALUES ('{name}', '{name}', '[\"{pattern}\"]', 0, now(), '{{}}', {accounted})"
        )
        if has_row != "false":
            execute(
                "INSERT INTO events_delivery (event_id, subscriber, run, state, attempts, at, reason)"
                f" SELECT {event_id}, '{name}', 0, '{state}', 1, now(), ''"
                f" FROM generate_series(1, {events}) n WHERE {has_row}"
            )
    for name, chosen in (("", "n <= 9000"), ("of the whole log ", f"n % ({events} / 9000) = 0")):
        execute(
            "INSERT INTO events_straggler (event_id, subscriber, run, after, owed_at, owed_since, checked_at, healed)"
            f" SELECT {event_id}, '9,000 {name}asked for by a replay', 1, {events}, now(), now(), now(), 0"
            f" FROM generate_series(1, {events}) n WHERE {chosen}"
        )
    for sql in indexes:
        execute(sql)
    for table, constraint, kind in owned:
        execute(f'ALTER TABLE {table} ADD CONSTRAINT "{constraint}" {kind} USING INDEX "{constraint}"')
    for table in (*tables, "events_straggler", "events_subscription"):
        execute(f"VACUUM ANALYZE {table}")


def measure(rounds: int) -> None:
    from events.models import Subscription
    from events.repair.backlog import backlogs

    rows = {row.name: row for row in Subscription.objects.all()}
    for name in CASES:
        Subscription.objects.all().delete()
        rows[name].save(force_insert=True)
        taken = []
        for _ in range(rounds + 1):
            started = time.perf_counter()
            (found,) = backlogs()
            taken.append((time.perf_counter() - started) * 1e3)
        # The first one reads from the disk what nobody has read since the table was filled.
        first, median = taken[0], statistics.median(taken[1:])
        said = f"{found.behind:,}" if found.is_exact else f"> {found.behind:,} (about {found.estimate:,})"
        print(
            f"{name}: {said} behind, {found.retrying:,} retrying, {found.dead:,} dead: {median:.1f} ms"
            f" [{min(taken[1:]):.1f}..{max(taken[1:]):.1f}], the first time {first:.1f} ms (at most 100)",
            flush=True,
        )
    for row in rows.values():
        if row.name != name:
            row.save(force_insert=True)
    started = time.perf_counter()
    backlogs()
    print(f"all {len(CASES)} at once: {(time.perf_counter() - started) * 1e3:.1f} ms")


def count_all() -> None:
    started = time.perf_counter()
    execute(
        "SELECT count(*) FROM events_storedevent LEFT JOIN events_delivery AS delivery"
        " ON delivery.event_id = events_storedevent.event_id AND subscriber = 'half of the log behind' AND run = 0"
        " WHERE state IS NULL"
    )
    print(f"a full count of one subscription: {(time.perf_counter() - started) * 1e3:,.0f} ms")


def print_plans() -> None:
    from django.db import connection

    from events.repair.backlog import backlogs

    connection.force_debug_cursor = True
    before = len(connection.queries)
    backlogs()
    statements = {query["sql"] for query in connection.queries[before:]}
    connection.force_debug_cursor = False
    for sql in sorted(statements):
        print(sql)
        for (line,) in execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}"):
            print("   ", line)


if __name__ == "__main__":
    main()
