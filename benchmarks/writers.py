"""The cost of the NOTIFY that wakes a sleeping relay. Eight pgbench clients commit one event per transaction. Compared
are, in turns and in commits per second:

1. "busy" and "bare": the statement of emit() as it is, and without its NOTIFY, while a relay is awake and busy;
2. "asleep" and "bare, no relay": every commit sends a NOTIFY, as if the relay were always asleep, and none does.

    python -m benchmarks.writers [--rounds 6] [--seconds 4] [--pgbench /usr/lib/postgresql/15/bin/pgbench]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from benchmarks.ratio import print_ratio
from benchmarks.services import POSTGRES, temporary_services

NAME = "airy_bench_writers"
PGBENCH = shutil.which("pgbench") or "/usr/lib/postgresql/15/bin/pgbench"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--seconds", type=int, default=4, help="of one run of pgbench")
    arguments.add_argument("--pgbench", default=PGBENCH)
    options = arguments.parse_args()
    with (
        temporary_services(NAME, DJANGO_SETTINGS_MODULE="benchmarks.settings"),
        tempfile.TemporaryDirectory() as folder,
    ):
        measure(Path(folder), options.pgbench, options.rounds, options.seconds)


def measure(folder: Path, pgbench: str, rounds: int, seconds: int) -> None:
    statement = emit_statement()
    with_notify, without = folder / "with.sql", folder / "without.sql"
    with_notify.write_text(statement)
    bare = re.sub(r"RETURNING CASE.*END", "RETURNING NULL::text", statement)
    assert bare != statement
    without.write_text(bare)

    def commits(script: Path) -> float:
        command = (pgbench, "-n", "-c", "8", "-j", "2", "-T", str(seconds), "-M", "prepared", "-f", script)
        done = subprocess.run((*command, f"{POSTGRES}/{NAME}"), capture_output=True, text=True, check=True)
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        assert found
        return float(found[1])

    rates: dict[str, list[float]] = {"busy": [], "bare": [], "asleep": [], "bare, no relay": []}
    with relay():
        commits(with_notify)
        for turn in range(rounds):
            for name, script in (("busy", with_notify), ("bare", without))[:: 1 if turn % 2 else -1]:
                rates[name].append(commits(script))
                wait_until_drained()
    for turn in range(rounds):
        for name in ("asleep", "bare, no relay")[:: 1 if turn % 2 else -1]:
            with always_asleep() if name == "asleep" else nothing():
                rates[name].append(commits(with_notify if name == "asleep" else without))
    for name, values in rates.items():
        print(f"{name:15} {statistics.median(values):8.0f} commits/s")
    print_ratio("with / without NOTIFY, relay busy", rates["busy"], rates["bare"], "at least 0.9")
    print_ratio(
        "every commit notifies / none, no relay",
        rates["asleep"],
        rates["bare, no relay"],
        "reported only: the cost that a busy relay avoids",
    )


def emit_statement() -> str:
    """The SQL statement that emit() executes, with its values as literals."""
    from django.db import connection, transaction

    from benchmarks.start_time.events import Measured
    from events.bus import emit

    seen: list[str] = []

    def keep(execute: object, sql: str, params: object, many: bool, context: dict) -> object:
        if "events_outboxmessage" in sql:
            seen.append(psycopg.ClientCursor(connection.connection).mogrify(sql, params))  # type: ignore[arg-type]
        return execute(sql, params, many, context)  # type: ignore[operator]

    with connection.execute_wrapper(keep), transaction.atomic():
        event_id = emit(Measured(number=1))
    (statement,) = seen
    values = re.search(r"VALUES \((.*?)\) RETURNING event_id", statement, re.DOTALL)
    assert values
    written, replaced = re.subn(rf"'({event_id}|{event_id.hex})'(::uuid)?", "gen_random_uuid()", values[1])
    assert replaced == 2, values[1]
    return " ".join(statement.replace(values[1], written).split()) + ";\n"


@contextmanager
def relay() -> Iterator[None]:
    """Run an active relay in a process of its own."""
    process = subprocess.Popen((sys.executable, "manage.py", "relay"), stdout=subprocess.DEVNULL)
    try:
        wait_until_drained()
        yield
    finally:
        process.terminate()
        process.wait(30)


def wait_until_drained() -> None:
    """Wait until the outbox is empty, and purge the queue of the broker."""
    import dramatiq
    import pika
    from django.db import close_old_connections

    from events.models import OutboxMessage

    deadline = time.monotonic() + 120
    while OutboxMessage.objects.exists():
        if time.monotonic() > deadline:
            raise SystemExit("the relay did not drain the outbox within 120 s")
        time.sleep(0.1)
    with pika.BlockingConnection(dramatiq.get_broker().parameters) as connection:
        channel = connection.channel()
        if "airy.bench.report_start" in dramatiq.get_broker().subscriptions:
            channel.queue_declare(
                "airy.bench.report_start", durable=True, arguments=dramatiq.get_broker().queue_arguments
            )
            channel.queue_purge("airy.bench.report_start")
    close_old_connections()


@contextmanager
def always_asleep() -> Iterator[None]:
    """Hold the lock by which a sleeping relay asks for a NOTIFY, as long as the block runs."""
    from events.outbox.notify import WAKE_CHANNEL, WAKE_LOCK

    with psycopg.connect(f"{POSTGRES}/{NAME}", autocommit=True) as session:
        ((oid,),) = session.execute("SELECT 'events_outboxmessage'::regclass::oid").fetchall()
        session.execute(f"LISTEN {WAKE_CHANNEL}{oid}")
        session.execute("SELECT pg_advisory_lock(%s)", [WAKE_LOCK | oid])
        yield


@contextmanager
def nothing() -> Iterator[None]:
    yield


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parent.parent)
    main()
