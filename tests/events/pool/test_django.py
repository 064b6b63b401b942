"""The task pool: Django's connections on its threads are few, usable and closed in the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from events.bus import emit
from events.outbox.emit import current_event
from events.pool import TaskPool
from events.pool.database_threads import DATABASE_THREADS
from events.testing import emitted
from tests.effects.events import Rang
from tests.events.pool.occupy import Eventually

pytestmark = pytest.mark.django_db(transaction=True)

OpenConnections = Callable[[], int]


@pytest.fixture
def open_connections() -> Iterator[OpenConnections]:
    """Gives the number of open connections that other threads opened since the start of the test."""
    opened: dict[int, BaseDatabaseWrapper] = {}
    me = threading.get_ident()

    def remember(connection: BaseDatabaseWrapper, **_: object) -> None:
        if threading.get_ident() != me:
            opened[id(connection)] = connection

    connection_created.connect(remember, weak=False)
    yield lambda: sum(wrapper.connection is not None for wrapper in opened.values())
    connection_created.disconnect(remember)


@pytest.fixture
def kept_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONN_MAX_AGE=None, unless the driver pools connections: only the end of a thread closes its connection."""
    if "pool" not in connection.settings_dict["OPTIONS"]:
        monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)


def query() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


async def query_async() -> int:
    await asyncio.sleep(0)
    return await sync_to_async(query)()


@pytest.mark.usefixtures("kept_connections")
def test_functions_open_no_more_connections_than_threads_and_leave_none(
    open_connections: OpenConnections, eventually: Eventually
) -> None:
    most = 0
    with TaskPool(50, max_threads=4, idle_timeout=0.3) as pool:
        for task in [pool.submit(query) for _ in range(200)]:
            assert task.result(20) == 1
            most = max(most, open_connections())
        assert most <= 4
        eventually(lambda: (pool.stats().threads, open_connections()) == (0, 0))


@pytest.mark.usefixtures("kept_connections")
def test_coroutines_share_a_few_database_threads_and_leave_no_connection(
    open_connections: OpenConnections, eventually: Eventually
) -> None:
    with TaskPool(1000, idle_timeout=0.3) as pool:
        for task in [pool.submit(query_async) for _ in range(200)]:
            assert task.result(20) == 1
        assert open_connections() <= DATABASE_THREADS
        assert pool.stats().threads <= DATABASE_THREADS + 1
        eventually(lambda: (pool.stats().threads, open_connections()) == (1, 0))


def test_coroutines_use_several_database_threads_at_once_and_each_keeps_its_own() -> None:
    together = threading.Barrier(DATABASE_THREADS)

    async def use_twice() -> tuple[threading.Thread, threading.Thread]:
        await sync_to_async(together.wait)(20)
        return await sync_to_async(threading.current_thread)(), await sync_to_async(threading.current_thread)()

    with TaskPool(100) as pool:
        seen = [task.result(20) for task in [pool.submit(use_twice) for _ in range(DATABASE_THREADS)]]
    assert all(first is second for first, second in seen)
    assert len({first for first, _ in seen}) == DATABASE_THREADS


@pytest.mark.usefixtures("kept_connections")
def test_a_closed_pool_has_closed_its_connections(open_connections: OpenConnections) -> None:
    pool = TaskPool(50, max_threads=4, idle_timeout=None)
    for task in [pool.submit(work) for work in (query, query_async) * 20]:
        task.result(20)
    assert pool.close(20)
    assert open_connections() == 0


@pytest.mark.usefixtures("kept_connections")
def test_a_connection_left_unusable_by_one_task_does_not_reach_the_next() -> None:
    def turn_autocommit_off() -> None:
        query()
        connection.set_autocommit(False)

    async def turn_autocommit_off_async() -> None:
        await sync_to_async(turn_autocommit_off)()

    with TaskPool(10, max_threads=1) as pool:
        for spoil in (turn_autocommit_off, turn_autocommit_off_async):
            pool.submit(spoil).result(20)
            answer = pool.submit(lambda: (query(), connection.get_autocommit()))
            assert answer.result(20) == (1, True)
            answer_async = pool.submit(sync_to_async(lambda: (query(), connection.get_autocommit())))
            assert answer_async.result(20) == (1, True)


@pytest.mark.postgres
def test_a_connection_that_the_server_ended_in_one_task_does_not_fail_the_next() -> None:
    def lose_the_server() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    async def lose_the_server_async() -> None:
        await sync_to_async(lose_the_server)()

    with TaskPool(10, max_threads=1) as pool:
        for lose, ask in ((lose_the_server, query), (lose_the_server_async, query_async)):
            for _ in range(3):
                with pytest.raises(OperationalError):
                    pool.submit(lose).result(20)
                assert pool.submit(ask).result(20) == 1


def test_run_leaves_the_callers_connection_alone() -> None:
    connection.ensure_connection()
    mine = connection.connection
    with TaskPool(1) as pool:
        assert pool.run(query) == 1
    assert connection.connection is mine


@pytest.mark.postgres
def test_a_thread_returns_its_connection_to_psycopgs_pool_after_each_task(eventually: Eventually) -> None:
    psycopg_pool = connection.pool  # type: ignore[attr-defined]
    connection.close()

    def borrowed() -> int:
        stats = psycopg_pool.get_stats()
        return stats["pool_size"] - stats["pool_available"]

    before = borrowed()  # by threads of other tests of this process

    with TaskPool(50, max_threads=4, idle_timeout=None) as pool:
        for task in [pool.submit(work) for work in (query, query_async) * 20]:
            assert task.result(20) == 1
        assert pool.stats().threads > 1
        eventually(lambda: borrowed() <= before)


@pytest.mark.postgres
def test_threads_wait_for_a_connection_when_psycopgs_pool_has_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", {"min_size": 0, "max_size": 2, "timeout": 30})

    def slow_query() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_sleep(0.01)")
            return cursor.fetchone()[0]

    try:
        with TaskPool(100, max_threads=8) as pool:
            tasks = [pool.submit(work) for work in (slow_query, query_async) * 30]
            assert [task.result(60) for task in tasks] == [1] * 60
            assert connection.pool.get_stats()["pool_max"] == 2  # type: ignore[attr-defined]
    finally:
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]


@pytest.mark.parametrize("lane", ["function", "coroutine"])
def test_a_task_keeps_the_trace_and_the_cause_of_its_submitters_delivery(lane: str) -> None:
    def follow() -> dict[str, object]:
        with transaction.atomic():
            emit(Rang(number=2))
        return structlog.contextvars.get_contextvars()

    with transaction.atomic():
        emit(Rang(number=1))
    cause = emitted(Rang)[0].meta
    token = current_event.set(cause)
    try:
        with structlog.contextvars.bound_contextvars(trace="00-abc-01"), TaskPool(2) as pool:
            work = follow if lane == "function" else sync_to_async(follow)
            assert pool.submit(work).result(20) == {"trace": "00-abc-01"}
    finally:
        current_event.reset(token)
    effect = emitted(Rang)[1].meta
    assert (effect.correlation_id, effect.causation_id) == (cause.correlation_id, cause.id)
