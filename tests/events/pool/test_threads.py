"""The task pool: threads start when there is work and end when idle."""

from __future__ import annotations

import threading
import time

from events.pool import TaskPool
from tests.events.pool.occupy import Eventually, do_nothing, occupied


def test_idle_threads_end_and_new_work_starts_new_ones(eventually: Eventually) -> None:
    with TaskPool(20, idle_timeout=0.1) as pool:
        with occupied(pool, 20):
            eventually(lambda: pool.stats().threads == 20)
        eventually(lambda: pool.stats().threads == 0)
        assert pool.submit(lambda: "new").result(20) == "new"


def test_without_an_idle_timeout_threads_stay() -> None:
    together = threading.Barrier(5)
    with TaskPool(5, idle_timeout=None) as pool:
        for task in [pool.submit(together.wait, 20) for _ in range(5)]:
            task.result(20)
        assert not threading.Event().wait(0.3)
        assert pool.stats().threads == 5


def test_a_few_tasks_after_many_keep_few_threads(eventually: Eventually) -> None:
    with TaskPool(20, idle_timeout=0.5) as pool:
        with occupied(pool, 20):
            eventually(lambda: pool.stats().threads == 20)
        deadline = time.monotonic() + 20
        while pool.stats().threads > 2:
            assert time.monotonic() < deadline
            pool.submit(time.sleep, 0.05).result(20)


def test_prestart_starts_all_threads_before_any_task() -> None:
    with TaskPool(50, max_threads=6, prestart=True) as pool:
        assert pool.stats().threads == 6
        assert pool.stats().submitted == 0


def test_threads_start_only_when_there_is_work() -> None:
    with TaskPool(50) as pool:
        assert pool.stats().threads == 0
        pool.submit(do_nothing).result(20)
        assert pool.stats().threads == 1


def test_blocking_tasks_get_a_thread_each_up_to_the_default_limit() -> None:
    together = threading.Barrier(64)
    with TaskPool() as pool:
        for task in [pool.submit(together.wait, 20) for _ in range(64)]:
            task.result(20)
        assert pool.stats().threads == 64


def test_an_idle_timeout_of_zero_keeps_no_thread(eventually: Eventually) -> None:
    with TaskPool(3, idle_timeout=0) as pool:
        assert [pool.submit(pow, number, 2).result(20) for number in range(200)] == [n * n for n in range(200)]
        eventually(lambda: pool.stats().threads == 0)


def test_the_surplus_threads_of_a_smaller_pool_end(eventually: Eventually) -> None:
    with TaskPool(8, idle_timeout=None, prestart=True) as pool:
        pool.resize(2)
        eventually(lambda: pool.stats().threads == 2)
        assert [pool.submit(pow, number, 2).result(20) for number in range(5)] == [0, 1, 4, 9, 16]
