"""Partitions: there is one for whatever is emitted, made ahead, and made of plain tables beside those who use them."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable, Iterator
from itertools import count, pairwise
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError
from django.db import OperationalError, connection, transaction

from events.db.partitions import BEYOND, partitions_of_time
from events.models import Delivery, OutboxMessage, StoredEvent
from events.outbox.event_id import made_at
from events.repair import partitions
from events.repair.partitions import add_partitions, log_and_inbox
from events.repair.with_inbox import delete_with_inbox
from events.testing import deliver
from tests.chaos.site.schema import SCHEMA
from tests.conformance.processes import Manage, database_url
from tests.effects.models import Effect
from tests.support.command_output import command_output
from tests.support.effects import ring
from tests.support.old_events import ring_ago
from tests.support.partitions import drop_past

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]

DAY = dt.timedelta(days=1)
LOG, INBOX = "events_storedevent", "events_delivery"


def bounds(table: str = LOG) -> list[tuple[dt.datetime, dt.datetime]]:
    found = partitions_of_time(connection, f'"{table}"')
    return [(made_at(one.low), made_at(one.high)) for one in found if one.low and one.high]


def partition_of(event_id: uuid.UUID, table: str = LOG) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tableoid::regclass::text FROM {table} WHERE event_id = %s", [event_id])
        return str(cursor.fetchone()[0])


def without_partitions_from(moment: dt.datetime) -> None:
    """As on a site whose relay has not run for long."""
    with connection.cursor() as cursor:
        for table in (LOG, INBOX):
            for one in partitions_of_time(connection, f'"{table}"'):
                if one.high and made_at(one.high) > moment:
                    cursor.execute(f"DROP TABLE {one.name}")


def test_there_are_partitions_for_more_than_a_day_ahead_alike_for_log_and_inbox_without_a_gap() -> None:
    found = bounds()
    assert found[0][0] <= dt.datetime.now(dt.UTC)
    assert found[-1][1] > dt.datetime.now(dt.UTC) + DAY
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert bounds(INBOX) == found


def test_further_ones_are_made_when_their_time_comes_near_and_no_sooner(settings: Any) -> None:
    add_partitions()
    before = bounds()
    add_partitions()
    assert bounds() == before
    settings.EVENTS_PARTITION = "90d"
    add_partitions()
    (begin, end), *_ = bounds()[len(before) :]
    assert begin == before[-1][1]
    assert dt.timedelta() < end - begin <= 90 * DAY
    assert bounds(INBOX) == bounds()


def test_without_a_partition_emit_goes_on_and_the_next_one_begins_after_todays_ids() -> None:
    without_partitions_from(dt.datetime.now(dt.UTC))
    (gap,) = ring(1)
    assert partition_of(gap) == f"{LOG}_default"
    add_partitions()
    assert bounds()[0][0] > dt.datetime.now(dt.UTC) + DAY
    deliver()
    assert {partition_of(gap), partition_of(gap, INBOX)} == {f"{LOG}_default", f"{INBOX}_default"}


def test_what_a_clock_that_is_ahead_left_in_the_default_partition_moves_into_the_new_one() -> None:
    without_partitions_from(dt.datetime.now(dt.UTC))
    (ahead,) = ring_ago(-20 * DAY)
    assert partition_of(ahead) == f"{LOG}_default"
    before = StoredEvent.objects.get(event_id=ahead).envelope()
    add_partitions()
    assert partition_of(ahead).startswith(f"{LOG}_p")
    assert StoredEvent.objects.get(event_id=ahead).envelope() == before


def test_an_id_that_no_clock_gives_has_a_partition_of_its_own() -> None:
    foreign = uuid.UUID(int=BEYOND.int + 1)
    Delivery.objects.create(event_id=foreign, subscriber="effects.alone", state="done")
    assert partition_of(foreign, INBOX) == f"{INBOX}_beyond"
    early = uuid.UUID(int=1)
    Delivery.objects.create(event_id=early, subscriber="effects.alone", state="done")
    assert partition_of(early, INBOX) == f"{INBOX}_default"


@pytest.fixture
def plain() -> Iterator[None]:
    """Log and inbox are plain tables, as on a site that is older than partitions; at the end as they were."""
    both = log_and_inbox()
    assert both.reshape_few(partitioned=False)
    yield
    if not both.is_partitioned() or both.is_begun():
        both.reshape(partitioned=True)
    drop_past()


@pytest.fixture
def schema() -> Callable[[], set[str]]:
    """Asks for everything that migrations make in the database, as text."""

    def ask() -> set[str]:
        with connection.cursor() as cursor:
            cursor.execute(SCHEMA)
            return {line for (line,) in cursor.fetchall()}

    return ask


class Writers:
    """Threads that emit, record, change and delete, each in transactions of its own, until they are told to stop."""

    def __init__(self) -> None:
        self.data: dict[uuid.UUID, int] = {}
        self.states: dict[uuid.UUID, str] = {}
        self.errors: list[Exception] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]

    def __enter__(self) -> Writers:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *args: Any) -> None:
        self._stop.set()
        for one in self._threads:
            one.join()
        assert not self.errors, self.errors[0]

    def _run(self) -> None:
        mine: list[uuid.UUID] = []
        rounds = count()
        try:
            while not self._stop.is_set():
                self._write(mine, number=next(rounds))
        except Exception as error:  # noqa: BLE001 - it fails the test
            self.errors.append(error)
        finally:
            connection.close()

    def _write(self, mine: list[uuid.UUID], *, number: int) -> None:
        mine += ring(1)
        event_id = mine[-1]
        with transaction.atomic():
            Delivery.objects.create(event_id=event_id, subscriber="effects.alone", state="retrying")
        self.data[event_id], self.states[event_id] = 0, "retrying"
        earlier = mine[len(mine) // 2]
        with transaction.atomic():
            StoredEvent.objects.filter(event_id=earlier).update(data={"number": number})
            Delivery.objects.filter(event_id=earlier).update(state="done")
        if earlier in self.data:
            self.data[earlier], self.states[earlier] = number, "done"
        if number % 3 == 2:
            gone = mine.pop(len(mine) // 3)
            with transaction.atomic():
                delete_with_inbox(StoredEvent.objects.filter(event_id=gone))
            del self.data[gone], self.states[gone]


def rows() -> tuple[dict[uuid.UUID, int], dict[uuid.UUID, str]]:
    data = {event_id: data["number"] for event_id, data in StoredEvent.objects.values_list("event_id", "data")}
    return data, dict(Delivery.objects.values_list("event_id", "state"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(180)
def test_plain_tables_are_partitioned_beside_those_who_write_and_after_a_kill(
    plain: None, manage: Manage, eventually: Callable[..., None]
) -> None:
    for _ in range(10):
        old = ring_ago(95 * DAY, 300)
        Delivery.objects.bulk_create(
            [Delivery(event_id=event_id, subscriber="effects.alone", state="done") for event_id in old]
        )
    before, highest = rows(), StoredEvent.objects.newest()
    both = log_and_inbox()
    with Writers() as writers:
        eventually(lambda: len(writers.data) > 20)
        first = manage("partition", "--rate", "1000/s")
        eventually(both.is_begun, within=30)
        Manage.kill(first)
        assert both.is_begun()
        assert not both.is_partitioned()
        second = manage("partition")
        eventually(both.is_partitioned, within=60)
        assert second.wait(timeout=30) == 0, manage.log()
        written = len(writers.data)
        eventually(lambda: len(writers.data) > written + 20)
    data, states = rows()
    assert data == before[0] | writers.data
    assert states == before[1] | writers.states
    assert not both.is_begun()
    assert min(bounds())[0] <= dt.datetime.now(dt.UTC) - 95 * DAY
    assert partition_of(next(iter(before[0]))).startswith(f"{LOG}_p")
    numbers = list(StoredEvent.objects.values_list("sequence", flat=True))
    assert len(set(numbers)) == len(numbers)
    assert StoredEvent.objects.newest() > highest
    OutboxMessage.objects.all().delete()
    ring(1, start=5_000)
    deliver()  # sealed transactions
    assert Effect.objects.filter(number=5_000).count() == 4


@pytest.mark.django_db(transaction=True)
def test_partitions_can_be_undone_and_nothing_is_left_of_them(plain: None, schema: Callable[[], set[str]]) -> None:
    ring(3)
    deliver()
    before, shape = rows(), schema()
    command_output("partition")
    assert schema() != shape
    assert "plain tables" in command_output("partition", "--undo")
    assert schema() == shape
    assert rows() == before


@pytest.mark.django_db(transaction=True)
def test_what_has_begun_can_be_given_up_and_begun_anew(plain: None, schema: Callable[[], set[str]]) -> None:
    ring(3)
    before, shape = rows(), schema()
    both = log_and_inbox()
    both._begin(True)
    ring(2, start=3)
    assert both.is_begun()
    assert "plain tables" in command_output("partition", "--undo")
    assert schema() == shape
    command_output("partition")
    assert both.is_partitioned()
    assert len(rows()[0]) == len(before[0]) + 2


def test_what_refers_to_a_table_is_named_and_nothing_is_changed(plain: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE VIEW newest_events AS SELECT event_id FROM {LOG}")
        with pytest.raises(CommandError, match=r"newest_events[\s\S]*depends on table"):
            command_output("partition")
        assert not log_and_inbox().is_partitioned()
        cursor.execute("DROP VIEW newest_events")
    command_output("partition")
    assert log_and_inbox().is_partitioned()


def test_with_many_rows_the_migration_leaves_plain_tables(plain: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "FEW_ROWS", 2)
    ring(3)
    assert not log_and_inbox().reshape_few(partitioned=True)
    assert not log_and_inbox().is_partitioned()
    monkeypatch.setattr(partitions, "FEW_ROWS", 10)


def test_a_role_that_may_write_may_do_so_afterwards() -> None:
    role = f"airy_web_{uuid.uuid4().hex[:8]}"
    both = log_and_inbox()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role}")
        cursor.execute(f"GRANT SELECT, INSERT ON {LOG} TO {role}")
        cursor.execute(f"GRANT SELECT ON {INBOX} TO {role} WITH GRANT OPTION")
        both.reshape_few(partitioned=False)
        for table, right, has in (
            (LOG, "INSERT", True), (LOG, "DELETE", False), (INBOX, "SELECT WITH GRANT OPTION", True),
        ):  # fmt: skip
            cursor.execute("SELECT has_table_privilege(%s, %s, %s)", [role, table, right])
            assert cursor.fetchone() == (has,)


def test_who_keeps_a_table_for_long_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "PATIENCE", 0.5)
    with psycopg.connect(database_url()) as other:
        other.execute(f"SELECT count(*) FROM {LOG}_default")
        monkeypatch.setattr(settings, "EVENTS_PARTITION", "90d")
        with pytest.raises(OperationalError, match="lock timeout"):
            log_and_inbox().add_ahead()
