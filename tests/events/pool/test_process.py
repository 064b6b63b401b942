"""The task pool: the process's own pool, and a pool after a fork."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from events.pool import TaskPool, get_pool
from tests.events.pool.occupy import occupied

ROOT = Path(__file__).resolve().parents[3]


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a empty interpreter without Django settings."""
    unset = {"GOROUTINE_POOL_SIZE", "DJANGO_SETTINGS_MODULE"}
    environ = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ | environment, timeout=60, capture_output=True, text=True
    )


CAPACITY = "from events.pool import get_pool; print(get_pool().capacity)"


def test_the_process_has_one_pool_sized_by_the_settings() -> None:
    assert get_pool() is get_pool()
    assert get_pool().capacity == settings.GOROUTINE_POOL_SIZE


@pytest.mark.parametrize(("environment", "capacity"), [({"GOROUTINE_POOL_SIZE": "77"}, "77"), ({}, "10000")])
def test_without_settings_the_environment_gives_the_size(environment: dict[str, str], capacity: str) -> None:
    assert python(CAPACITY, **environment).stdout.strip() == capacity


@pytest.mark.parametrize("wrong", ["many", "0", "-5", "1.5", ""])
def test_the_error_for_a_wrong_size_names_the_setting_and_the_cure(wrong: str) -> None:
    failed = python(CAPACITY, GOROUTINE_POOL_SIZE=wrong)
    assert failed.returncode == 1
    assert "GOROUTINE_POOL_SIZE=10000" in failed.stderr.splitlines()[-1]


def test_settings_refuse_a_wrong_size_at_start() -> None:
    failed = python(
        "import django; django.setup()",
        GOROUTINE_POOL_SIZE="many",
        DJANGO_SETTINGS_MODULE="airy.settings",
        DEBUG="on",
    )
    assert failed.returncode == 1
    assert "GOROUTINE_POOL_SIZE" in failed.stderr.splitlines()[-1]


def test_the_pool_needs_neither_django_nor_its_settings() -> None:
    code = (
        "import sys; from events.pool import TaskPool\nwith TaskPool(2) as pool: print(pool.submit(pow, 2, 3).result())"
    )
    assert python(code + "\nassert 'django' not in sys.modules").stdout == "8\n"


def in_child(check: Callable[[], bool]) -> int:
    """Fork, call the check in the child; gives the exit status: 0 true, 2 false, 1 an error."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        status = 0 if check() else 2
    finally:
        os._exit(status)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_pool_used_before_a_fork_is_empty_and_works_in_the_child() -> None:
    with TaskPool(6, max_threads=2) as pool, occupied(pool, 4) as release:
        pool.submit(asyncio.sleep, 0).result(20)

        def check() -> bool:
            empty = (pool.running, pool.waiting, pool.stats().threads, pool.stats().submitted) == (0, 0, 0, 0)
            works = pool.submit(lambda: "function").result(20) == "function"
            return empty and works and pool.submit(asyncio.sleep, 0, "loop").result(20) == "loop" and pool.close(20)

        assert in_child(check) == 0
        assert pool.running == 4
        release.set()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_task_that_forks_finds_the_pool_empty_in_its_child() -> None:
    with TaskPool(3) as pool:

        def fork() -> int:
            return in_child(lambda: pool.running == 0 and pool.submit(lambda: 5).result(20) == 5)

        assert pool.submit(fork).result(60) == 0
        assert pool.run(fork) == 0
        assert pool.running == 0
