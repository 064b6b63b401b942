"""Fixtures of all tests; which tests run in which pass, in which order, and which are skipped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase
from django.utils import translation
from pytest_django import DjangoDbBlocker

from events.brokers.redelivered import turn
from events.relay.earlier import RELAY_LOCK
from tests.conformance.processes import database_url
from tests.environment import MISSING, REQUIRED, SERVICES
from tests.support.empty_tables import empty_tables
from tests.support.lanes import in_lanes
from tests.support.servers.place import rabbitmq4 as place_of_rabbitmq4
from tests.support.servers.process import ServerMissingError
from tests.support.servers.rabbitmq import Node, running_node

pytest_plugins = ["tests.conformance.plugin", "tests.support.limits"]
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


@pytest.fixture(autouse=True)
def no_turn_is_left_taken(eventually: Callable[..., None]) -> Iterator[None]:
    """A redelivered message must be settled: this process handles no other one until then."""
    yield
    eventually(lambda: turn.is_free(None))


@pytest.fixture(autouse=True)
def each_test_begins_in_english() -> None:
    """A page in another language leaves it active in its thread, until the next page."""
    translation.activate(settings.LANGUAGE_CODE)


@pytest.fixture(autouse=True)
def no_relay_is_left(request: pytest.FixtureRequest, eventually: Callable[..., None]) -> Iterator[None]:
    """A relay that outlives its test would be the active one of the next test."""
    yield
    if connection.vendor == "postgresql" and "transactional_db" in request.fixturenames:
        with psycopg.connect(database_url(), autocommit=True) as session:
            eventually(lambda: not session.execute(SESSIONS_OF_RELAYS, RELAY_LOCK).fetchall())


@pytest.fixture(scope="session")
def rabbitmq4(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A RabbitMQ 4 of this run; skips where the environment names none."""
    try:
        place = place_of_rabbitmq4()
    except ServerMissingError as missing:
        pytest.skip(f"needs RabbitMQ 4: {missing}")
    with running_node(tmp_path_factory.mktemp("rabbitmq4") / "node", place=place) as node:
        yield node
