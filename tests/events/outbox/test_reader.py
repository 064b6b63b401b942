"""The relay's questions while the database keeps what was deleted: their price, and that no row is ever passed by."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from events.brokers.contract import BYTES_PER_PASS, ROWS_PER_PASS
from events.bus import emit
from events.models import OutboxMessage, StoredEvent
from events.outbox import reader as reader_module
from events.outbox.messages import Batch
from events.outbox.reader import OutboxReader
from tests.effects.events import Rang
from tests.support.effects import ring

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

Eventually = Callable[..., None]
#: Pages that a question may touch.
PAGES = 50


@pytest.fixture(autouse=True)
def raise_floors_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "RAISE_AFTER", 0.0)
    monkeypatch.setattr(reader_module, "FULL_LOOK", 3600.0)
    monkeypatch.setattr(reader_module, "DUE_LOOK", 3600.0)


@pytest.fixture(autouse=True)
def empty_the_indexes(transactional_db: None) -> None:
    """What earlier tests deleted stays in the indexes while a transaction is open anywhere, in another test's database
    too."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE events_outboxmessage")


def ask(reader: OutboxReader) -> Batch:
    return reader.next_batch(ROWS_PER_PASS, most_bytes=BYTES_PER_PASS, without=[])


def take(reader: OutboxReader) -> list[int]:
    """Ask, and delete what was found; returns the numbers of the events."""
    rows = ask(reader).rows
    OutboxMessage.objects.remove(rows)
    return [row.envelope.data["number"] for row in rows]


@contextmanager
def session(sql: str) -> Iterator[Any]:
    """Another session, in a transaction that has begun with this statement; it is rolled back on leaving."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(sql)
            yield cursor
            cursor.execute("ROLLBACK")
    finally:
        other.close()


SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM events_storedevent"


def insert_row(cursor: Any, number: int, *, priority: int = 0, due: dt.datetime | None = None) -> None:
    cursor.execute(
        "INSERT INTO events_storedevent"
        " (event_id, topic, version, source, subject, time, data, correlation_id, traceparent, suppressed)"
        " VALUES (gen_random_uuid(), 'bell.rang', 1, '/airy', '', now(), %s, gen_random_uuid(), '', '')"
        " RETURNING event_id",
        [json.dumps({"number": number})],
    )
    (event_id,) = cursor.fetchone()
    cursor.execute(
        "INSERT INTO events_outboxmessage (event_id, subscriber, due, run, attempt, priority, claimed)"
        " VALUES (%s, '', %s, 0, 1, %s, false)",
        [event_id, due, priority],
    )


def dead_rows(count: int, *, due: str = "NULL", priority: str = "n %% 10") -> None:
    """Rows that are inserted and deleted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_outboxmessage (event_id, subscriber, due, run, attempt, priority, claimed)"
            f" SELECT gen_random_uuid(), '', {due}, 0, 1, {priority}, false FROM generate_series(1, %s) AS n",
            [count],
        )
        cursor.execute("DELETE FROM events_outboxmessage")


def pages_of(act: Callable[[], Any]) -> list[int]:
    """Pages that each statement on the outbox touches."""
    seen: list[tuple[str, Any]] = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "events_outboxmessage" in sql and "pg_locks" not in sql and "pg_sequence" not in sql:
            seen.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        act()
    pages = []
    for sql, params in seen:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
            found = cursor.fetchone()[0]
            plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
            transaction.set_rollback(True)
        pages.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
    return pages


@pytest.mark.parametrize("count", [30_000, pytest.param(300_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("priority", [0, 9])
def test_dead_rows_under_a_long_transaction_cost_nothing(count: int, priority: int) -> None:
    reader = OutboxReader()
    for _ in range(6):  # the statements are prepared, and planned for a small table
        ring(1)
        take(reader)
    with session(SNAPSHOT):
        dead_rows(count)
        dead_rows(count, due="now() - interval '1 minute'")
        take(reader)  # it learns where they end
        for _ in range(5):
            ring(1, priority=priority)
            due = pages_of(lambda: reader.due_batch(ROWS_PER_PASS, most_bytes=BYTES_PER_PASS, without=[]))
            pages = pages_of(lambda: take(reader))
            assert len(pages) == 2, "a question and a delete"
            assert max(*pages, *due) <= PAGES
            dead_rows(20, priority=f"{priority}")


def test_a_dump_does_not_slow_down_a_backlog_that_is_carried_meanwhile() -> None:
    ring(4_000)
    reader = OutboxReader()
    with session(SNAPSHOT):
        take(reader)
        first, *others = pages_of(lambda: ask(reader))
        while OutboxMessage.objects.exists():
            others += pages_of(lambda: ask(reader))
            take(reader)
        assert max(others) <= first + PAGES, "the rows that are found, and no others"


def test_an_open_transaction_that_emitted_makes_no_question_longer_and_is_seen_at_once_when_it_commits() -> None:
    reader = OutboxReader()
    take(reader)
    with session("BEGIN") as importing:
        insert_row(importing, 1)
        dead_rows(30_000)
        take(reader)
        for number in range(3):
            ring(1)
            with session("BEGIN") as short:  # others come and go meanwhile
                insert_row(short, 100 + number)
                take(reader)
                short.execute("COMMIT")
            assert max(pages_of(lambda: take(reader))) <= PAGES
        ring(1, start=7)
        importing.execute("COMMIT")
        assert take(reader) == [1, 7], "and in order"


@pytest.mark.parametrize("priority", [0, 9])
def test_a_row_that_is_committed_late_is_found_by_the_next_question(priority: int) -> None:
    reader = OutboxReader()
    with session("BEGIN") as late:
        insert_row(late, 1, priority=priority)
        for number in range(2, 5):
            ring(1, start=number)
            assert take(reader) == [number]
        late.execute("COMMIT")
    assert take(reader) == [1]


def test_nothing_is_passed_by_while_many_write_at_once_and_commit_in_any_order(eventually: Eventually) -> None:
    dice = random.Random(7)
    reader, found = OutboxReader(), list[int]()
    plans = [[dice.random() / 50 for _ in range(25)] for _ in range(4)]

    def write(line: int, pauses: list[float]) -> None:
        try:
            for turn, pause in enumerate(pauses):
                with transaction.atomic():
                    emit(Rang(number=1000 * line + turn), priority=turn % 3)
                    threading.Event().wait(pause)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=plan) for plan in enumerate(plans)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found += take(reader)
    found += take(reader) + take(reader)
    assert sorted(found) == sorted(1000 * line + turn for line in range(4) for turn in range(25))
    for line, priority in itertools.product(range(4), range(3)):
        of_one_row = [one for one in found if one // 1000 == line and one % 1000 % 3 == priority]
        assert of_one_row == sorted(of_one_row)


def test_rows_that_stay_are_found_again() -> None:
    reader = OutboxReader()
    ring(3)
    for _ in range(3):
        assert [row.envelope.data["number"] for row in ask(reader).rows] == [0, 1, 2]
    first, *_ = ask(reader).rows
    batch = reader.next_batch(ROWS_PER_PASS, most_bytes=BYTES_PER_PASS, without=[first.pk])
    OutboxMessage.objects.remove(batch.rows)
    assert take(reader) == [0]


def test_a_row_with_a_number_of_its_own_is_found_by_a_full_look(
    monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(reader_module, "FULL_LOOK", 0.3)
    monkeypatch.setattr(reader_module, "FULL_LOOK_COSTS", 0)
    reader = OutboxReader()
    ring(2)
    take(reader)
    take(reader)
    row = OutboxMessage(pk=-5, event_id=StoredEvent.objects.all()[0].event_id)
    row.save(force_insert=True)
    eventually(lambda: ask(reader).rows)


def test_a_due_row_that_is_committed_long_after_its_time_is_found(
    monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(reader_module, "DUE_LOOK", 0.5)
    reader = OutboxReader()
    ask(reader)
    with connection.cursor() as cursor, transaction.atomic():
        insert_row(cursor, 1, due=timezone.now() - dt.timedelta(hours=1))
    eventually(lambda: (ask(reader).seconds_until_due or 0) < 0)
    assert reader.due_batch(ROWS_PER_PASS, most_bytes=BYTES_PER_PASS, without=[]).rows


def test_a_batch_is_bounded_in_bytes_and_one_row_comes_in_any_case() -> None:
    with transaction.atomic():
        for number, letters in enumerate((3, 400_000, 700_000, 3)):
            emit(Rang(number=number, mood="x" * letters))
    assert [row.size // 100_000 for row in OutboxMessage.objects.new().as_rows()] == [0, 4, 7, 0]
    for unknown in (False, True):
        if unknown:  # the previous release writes no size
            OutboxMessage.objects.update(size=0)
        batch = OutboxMessage.objects.next_batch(10, most_bytes=500_000)
        assert [row.envelope.data["number"] for row in batch.rows] == [0, 1]
        assert not batch.complete
        batch = OutboxMessage.objects.next_batch(10, most_bytes=10)
        assert [row.envelope.data["number"] for row in batch.rows] == [0]
        batch = OutboxMessage.objects.next_batch(10, most_bytes=2_000_000)
        assert len(batch.rows) == 4
        assert batch.complete
