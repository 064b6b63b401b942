"""The task pool: which submitters are admitted, wait or are refused."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait

import pytest

from events.pool import PoolOverloadedError, SubmitTimeoutError, TaskPool
from tests.events.pool.occupy import Eventually, do_nothing, occupied, submitter_threads


def test_a_full_nonblocking_pool_refuses_the_next_task() -> None:
    with TaskPool(10, nonblocking=True) as pool:
        release = threading.Event()
        try:
            tasks = [pool.submit(release.wait) for _ in range(10)]
            with pytest.raises(PoolOverloadedError):
                pool.submit(do_nothing)
        finally:
            release.set()
        wait(tasks[:1], 20)
        assert pool.submit(lambda: "accepted again").result(20) == "accepted again"


def test_try_submit_to_a_full_pool_is_refused_at_once_even_if_submit_would_wait() -> None:
    with TaskPool(1) as pool, occupied(pool, 1):
        took = []
        for _ in range(5):
            began = time.monotonic()
            with pytest.raises(PoolOverloadedError):
                pool.try_submit(do_nothing)
            took.append(time.monotonic() - began)
        assert min(took) < 0.05
        assert pool.waiting == 0


def test_try_submit_runs_the_task_of_a_pool_with_room() -> None:
    with TaskPool(1) as pool:
        assert pool.try_submit(sum, [1, 2]).result(20) == 3


def test_one_more_than_max_waiting_is_refused(eventually: Eventually) -> None:
    with submitter_threads(1) as threads, TaskPool(1, max_waiting=1) as pool, occupied(pool, 1) as release:
        blocked = threads.submit(pool.submit, lambda: "waited")
        eventually(lambda: pool.waiting == 1)
        with pytest.raises(PoolOverloadedError):
            pool.submit(do_nothing)
        release.set()
        assert blocked.result(20).result(20) == "waited"


def test_a_thousand_submitters_may_wait_by_default(eventually: Eventually) -> None:
    with submitter_threads(1000) as threads, TaskPool(2) as pool, occupied(pool, 2) as release:
        blocked = [threads.submit(pool.submit, do_nothing) for _ in range(1000)]
        eventually(lambda: pool.waiting == 1000)
        release.set()
        assert all(submission.result(20).result(20) is None for submission in blocked)
        assert pool.stats().rejected == 0


def test_no_submitter_waits_in_a_nonblocking_pool_whatever_its_max_waiting() -> None:
    with TaskPool(1, nonblocking=True, max_waiting=5) as pool, occupied(pool, 1):
        with pytest.raises(PoolOverloadedError):
            pool.submit(do_nothing)
        assert pool.waiting == 0


def test_a_limited_wait_ends_in_time_and_its_task_never_runs() -> None:
    ran = threading.Event()
    with TaskPool(1) as pool:
        with occupied(pool, 1):
            began = time.monotonic()
            with pytest.raises(SubmitTimeoutError):
                pool.spawn(ran.set, wait_timeout=0.2)
            assert 0.19 <= time.monotonic() - began < 10
            assert pool.waiting == 0
        pool.submit(do_nothing).result(20)
    assert not ran.is_set()


def test_a_limited_wait_is_admitted_when_a_slot_becomes_free(eventually: Eventually) -> None:
    with submitter_threads(1) as threads, TaskPool(1) as pool, occupied(pool, 1) as release:
        blocked = threads.submit(pool.spawn, pow, (2,), {"exp": 5}, wait_timeout=60)
        eventually(lambda: pool.waiting == 1)
        release.set()
        assert blocked.result(20).result(20) == 32


def test_the_counts_are_exact_at_every_moment_under_fifty_submitters() -> None:
    seen = []
    with submitter_threads(50) as threads, TaskPool(7) as pool:

        def submit_some() -> None:
            for _ in range(40):
                pool.submit(lambda: seen.append(pool.stats()))

        for submission in [threads.submit(submit_some) for _ in range(50)]:
            while not submission.done():
                seen.append(pool.stats())
            submission.result()
    assert len(seen) >= 2000
    assert all(now.running + now.free == now.capacity == 7 for now in seen)
    assert all(now.submitted == now.running + now.completed for now in seen)
    assert max(now.running for now in seen) <= 7
    assert pool.stats().completed == 2000


def test_waiting_is_the_number_of_blocked_submitters(eventually: Eventually) -> None:
    with submitter_threads(20) as threads, TaskPool(1) as pool, occupied(pool, 1) as release:
        for number in range(1, 21):
            threads.submit(pool.submit, do_nothing)
            eventually(lambda number=number: pool.waiting == number)
        release.set()
        eventually(lambda: pool.waiting == 0)


def test_waiting_submitters_are_admitted_in_order_of_arrival(eventually: Eventually) -> None:
    order: list[int] = []
    blocked: list[Future] = []
    with submitter_threads(10) as threads, TaskPool(1) as pool:
        with occupied(pool, 1):
            for number in range(10):
                blocked.append(threads.submit(pool.submit, order.append, number))
                eventually(lambda number=number: pool.waiting == number + 1)
        for submission in blocked:
            submission.result(20).result(20)
    assert order == list(range(10))


def test_a_bigger_pool_admits_exactly_as_many_waiters_as_it_has_grown(eventually: Eventually) -> None:
    with submitter_threads(10) as threads, TaskPool(2) as pool, occupied(pool, 2) as release:
        for _ in range(10):
            threads.submit(pool.submit, release.wait)
        eventually(lambda: pool.waiting == 10)
        for size, waiting in ((3, 9), (8, 4)):
            pool.resize(size)
            assert (pool.running, pool.waiting, pool.free) == (size, waiting, 0)
        started = threading.Barrier(2)
        release.set()
        pool.submit(started.wait, 20)
        started.wait(20)


def test_more_slots_come_with_more_threads(eventually: Eventually) -> None:
    together = threading.Barrier(8)
    with TaskPool(2) as pool:
        pool.submit(do_nothing).result(20)
        pool.resize(8)
        assert len({task.result(20) for task in [pool.submit(together.wait, 20) for _ in range(8)]}) == 8


def test_a_smaller_pool_lets_tasks_finish_and_starts_none_until_it_is_below_its_size(eventually: Eventually) -> None:
    releases = [threading.Event() for _ in range(5)]
    started = threading.Event()
    with submitter_threads(1) as threads, TaskPool(5) as pool:
        try:
            tasks = [pool.submit(release.wait) for release in releases]
            pool.resize(2)
            assert (pool.running, pool.free, pool.capacity) == (5, 0, 2)
            blocked = threads.submit(pool.submit, started.set)
            eventually(lambda: pool.waiting == 1)
            for left, release, task in zip((4, 3, 2), releases, tasks, strict=False):
                release.set()
                task.result(20)
                assert (pool.running, pool.free, pool.waiting) == (left, 0, 1)
                assert not started.is_set()
            releases[3].set()
            blocked.result(20).result(20)
            assert started.is_set()
        finally:
            for release in releases:
                release.set()


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"size": -1}, {"max_waiting": -1}, {"idle_timeout": -1}, {"max_threads": 0}]
)
def test_the_error_for_an_argument_out_of_range_names_it(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TaskPool(**wrong)


def test_a_pool_cannot_shrink_to_nothing() -> None:
    with TaskPool(2) as pool, pytest.raises(ValueError, match="size"):
        pool.resize(0)


def test_functions_are_admitted_up_to_twice_the_number_of_threads(eventually: Eventually) -> None:
    with TaskPool(100, max_threads=2) as pool, occupied(pool, 4):
        with pytest.raises(PoolOverloadedError):
            pool.try_submit(do_nothing)
        assert (pool.running, pool.free) == (4, 96)
