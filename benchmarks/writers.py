"""What the relay's alarm costs those who commit: eight pgbench clients that each commit one event a transaction, with
the statement as it is and with its NOTIFY left out, beside a relay that is busy; and with every commit notifying, as it
would be if the relay never said that it is awake. Interleaved rounds.

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
from benchmarks.services import POSTGRES, own_place

NAME = "airy_bench_writers"
PGBENCH = shutil.which("pgbench") or "/usr/lib/postgresql/15/bin/pgbench"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--pgbench", default=PGBENCH)
    options = arguments.parse_args()
    with own_place(NAME, DJANGO_SETTINGS_MODULE="benchmarks.settings"), tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.pgbench, options.rounds, options.seconds)


def measure(folder: Path, pgbench: str, rounds: int, seconds: int) -> None:
    statement = emit_statement()
    with_alarm, without = folder / "with.sql", folder / "without.sql"
    with_alarm.write_text(statement)
    bare = re.sub(r"RETURNING CASE.*END", "RETURNING NULL::text", statement)
    assert bare != statement
    without.write_text(bare)

    def commits(script: Path) -> float:
        command = (pgbench, "-n", "-c", "8", "-j", "2", "-T", str(seconds), "-M", "prepared", "-f", script)
        done = subprocess.run((*command, f"{POSTGRES}/{NAME}"), capture_output=True, text=True, check=True)
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        assert found
        return float(found[1])

    taken: dict[str, list[float]] = {"busy": [], "bare": [], "asleep": [], "bare, no relay": []}
    with relay():
        commits(with_alarm)
        for turn in range(rounds):
            for arm, script in (("busy", with_alarm), ("bare", without))[:: 1 if turn % 2 else -1]:
                taken[arm].append(commits(script))
                drained()
    for turn in range(rounds):
        for arm in ("asleep", "bare, no relay")[:: 1 if turn % 2 else -1]:
            with always_asleep() if arm == "asleep" else nothing():
                taken[arm].append(commits(with_alarm if arm == "asleep" else without))
    for arm, values in taken.items():
        print(f"{arm:15} {statistics.median(values):8.0f} commits/s")
    print_ratio("with the alarm / without, relay busy", taken["busy"], taken["bare"], "at least 0.9")
    print_ratio(
        "every commit notifies / none, no relay", taken["asleep"], taken["bare, no relay"], "reported: what is spared"
    )


def emit_statement() -> str:
    """The statement that emit() executes, with its values written in."""
    from django.db import connection, transaction

    from benchmarks.start_time.events import Struck
    from events.bus import emit

    seen: list[str] = []

    def keep(execute: object, sql: str, params: object, many: bool, context: dict) -> object:
        if "events_outboxmessage" in sql:
            seen.append(psycopg.ClientCursor(connection.connection).mogrify(sql, params))  # type: ignore[arg-type]
        return execute(sql, params, many, context)  # type: ignore[operator]

    with connection.execute_wrapper(keep), transaction.atomic():
        event_id = emit(Struck(number=1))
    (statement,) = seen
    values = re.search(r"VALUES \((.*?)\) RETURNING event_id", statement, re.DOTALL)
    assert values
    written, replaced = re.subn(rf"'({event_id}|{event_id.hex})'(::uuid)?", "gen_random_uuid()", values[1])
    assert replaced == 2, values[1]
    return " ".join(statement.replace(values[1], written).split()) + ";\n"


@contextmanager
def relay() -> Iterator[None]:
    """A relay in a process of its own, active."""
    process = subprocess.Popen((sys.executable, "manage.py", "relay"), stdout=subprocess.DEVNULL)
    try:
        drained()
        yield
    finally:
        process.terminate()
        process.wait(30)


def drained() -> None:
    """Wait until the outbox is empty, and the broker's queue, too."""
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
        if "airy.bench.hear" in dramatiq.get_broker().subscriptions:
            channel.queue_declare("airy.bench.hear", durable=True, arguments=dramatiq.get_broker().queue_arguments)
            channel.queue_purge("airy.bench.hear")
    close_old_connections()


@contextmanager
def always_asleep() -> Iterator[None]:
    """Hold the wake lock, as a sleeping relay does, and never wake."""
    from events.outbox.notify import WAKE_CHANNEL, WAKE_LOCK

    with psycopg.connect(f"{POSTGRES}/{NAME}", autocommit=True) as session:
        session.execute(f"LISTEN {WAKE_CHANNEL}")
        session.execute("SELECT pg_advisory_lock(%s, %s)", WAKE_LOCK)
        yield


@contextmanager
def nothing() -> Iterator[None]:
    yield


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parent.parent)
    main()
