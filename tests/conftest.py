"""Fixtures of all tests; which tests run in which pass, in which order, and which are skipped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dramatiq
import pika
import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker

from events.brokers.redelivered import turn
from events.relay.leader import RELAY_LOCK
from tests.conformance.results import pytest_terminal_summary  # noqa: F401 - a hook
from tests.environment import MISSING, REQUIRED, SERVICES
from tests.support.empty_tables import empty_tables
from tests.support.lanes import in_lanes
from tests.support.worker_command import worker_command

TransactionTestCase._fixture_teardown = empty_tables
SESSIONS_OF_RELAYS = """
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
#: Fixtures that lead to a database, or to Airy in a process of its own.
DATABASE_FIXTURES = {"db", "transactional_db", "site"}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Tests of a missing service are skipped with the reason, or fail if the service is required.

    Tests that need neither a database nor a service are alike in both passes, and run at home. For parallel workers
    the tests are put into an order in which the workers end at about the same time.
    """
    for item in items:
        if not DATABASE_FIXTURES & set(item.fixturenames) and not any(
            map(item.get_closest_marker, ("django_db", *SERVICES))
        ):
            item.add_marker(pytest.mark.home)
        for service, why in MISSING.items():
            if item.get_closest_marker(service) and service not in REQUIRED:
                item.add_marker(pytest.mark.skip(reason=f"needs {service}: {why}"))
    yield
    if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
        items[:] = in_lanes(items, workers=workers)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for service in REQUIRED & MISSING.keys():
        if item.get_closest_marker(service):
            pytest.fail(f"AIRY_REQUIRE names {service}, but {MISSING[service]}", pytrace=False)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Commits need not reach the disk; when the last test is over, ends what still holds the database, so that it can
    be removed."""
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock():
            with connection.cursor() as cursor:
                # No test ends this server; the chaos suite ends one of its own, which keeps its promise.
                cursor.execute(
                    f"ALTER DATABASE {connection.ops.quote_name(connection.settings_dict['NAME'])}"
                    " SET synchronous_commit = off"
                )
            connection.close_pool()
    yield
    if connection.vendor == "postgresql":
        connection.close()  # the last test may have left it broken
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait until a condition holds: `eventually(lambda: …, within=20)`; fails when time is up."""

    def wait(condition: Callable[[], object], *, within: float = 20.0) -> None:
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {within} s")
            time.sleep(0.02)

    return wait


def _lives(pid: str) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False  # it has just ended, and its parent knows


def database_url() -> str:
    """DATABASE_URL of the test database, for another process."""
    config = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{config['NAME']}"
    return f"{SERVICES['postgres']}/{config['NAME']}"


class Manage:
    """Starts processes on the test database, such as `manage.py`; each has a group of its own, so that a kill ends its
    children, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen] = []
        self._orphaned: dict[int, float] = {}

    def __call__(self, *arguments: str, **environment: str) -> subprocess.Popen:
        return self.start(sys.executable, "manage.py", *arguments, **environment)

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        """Any command, in the project's folder."""
        with (self._folder / "manage.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=os.environ | {"DATABASE_URL": database_url(), "AIRY_TEST_CHILD": "on"} | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def worker(self, *, processes: int = 1, threads: int = 4, **environment: str) -> subprocess.Popen:
        """A worker, started as `manage.py rundramatiq` starts it, without the first start of Django."""
        command = worker_command("--processes", str(processes), "--threads", str(threads))
        return self.start(*command, **environment)

    def log(self) -> str:
        """What the processes wrote."""
        log = self._folder / "manage.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def has_ended(self, process: subprocess.Popen) -> bool:
        """Whether a worker is to be started again: it ended, or its child did ten seconds ago and it did not notice.

        Dramatiq's parent process waits until its child is up. If the child is killed at that moment, the parent waits
        for a lock for ever, and takes no signal.
        """
        if process.poll() is not None:
            return True
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children and not any(map(_lives, children)):
            return time.monotonic() > self._orphaned.setdefault(process.pid, time.monotonic()) + 10
        self._orphaned.pop(process.pid, None)
        return False

    @staticmethod
    def kill(process: subprocess.Popen) -> None:
        """SIGKILL to the process and all its children, at once."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def stop(self) -> None:
        """SIGTERM to all; a process that does not end within 45 s is killed, and the test fails."""
        running = [process for process in self._started if process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(45)
            except subprocess.TimeoutExpired:
                self.kill(process)
                pytest.fail(f"{process.args} did not end on SIGTERM:\n{self.log()[-3000:]}")


@pytest.fixture(autouse=True)
def no_turn_is_left_taken(eventually: Callable[..., None]) -> Iterator[None]:
    """A redelivered message must be settled: this process handles no other one until then."""
    yield
    eventually(lambda: turn.is_free(None))


@pytest.fixture(autouse=True)
def no_relay_is_left(request: pytest.FixtureRequest, eventually: Callable[..., None]) -> Iterator[None]:
    """A relay that outlives its test would be the active one of the next test."""
    yield
    if connection.vendor == "postgresql" and "transactional_db" in request.fixturenames:
        with psycopg.connect(database_url(), autocommit=True) as session:
            eventually(lambda: not session.execute(SESSIONS_OF_RELAYS, RELAY_LOCK).fetchall())


@pytest.fixture
def manage(transactional_db: None, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manage]:
    """`manage.py` in other processes, on committed data."""
    if settings.AIRY_BROKER == "rabbitmq":
        request.getfixturevalue("vhost")
    started = Manage(tmp_path)
    try:
        yield started
    finally:
        print(started.log()[-5000:])  # noqa: T201 - beside what failed
        started.stop()
        if settings.AIRY_BROKER == "rabbitmq":
            remove_queues()


def remove_queues() -> None:
    """Remove this run's queues: an event of one test must not reach the next. Workers declare them anew."""
    broker = dramatiq.get_broker()
    with pika.BlockingConnection(broker.parameters) as connection:
        channel = connection.channel()
        for queue in broker.subscriptions:
            channel.queue_delete(queue)


@pytest.fixture(scope="session")
def vhost() -> Iterator[str]:
    """This run's own RabbitMQ vhost, removed at the end."""
    with new_vhost(settings.MQ_VHOST) as name:
        yield name


@contextmanager
def new_vhost(name: str) -> Iterator[str]:
    """A RabbitMQ vhost, removed on leaving."""
    rabbitmqctl("add_vhost", name)
    try:
        rabbitmqctl("set_permissions", "-p", name, settings.MQ_USER, ".*", ".*", ".*")
        yield name
    finally:
        rabbitmqctl("delete_vhost", name)


def rabbitmqctl(*arguments: str) -> str:
    """Run rabbitmqctl; raises CalledProcessError with its words."""
    return subprocess.run(("rabbitmqctl", "-q", *arguments), check=True, capture_output=True, text=True).stdout
