"""What a lost session, a restart and a server that became read-only cost: what was under way, and nothing more."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import Error, InternalError, OperationalError, connection, transaction
from django.test import Client
from psycopg_pool.base import AttemptWithBackoff

from airy.postgresql.pool import looks_alive
from events.db import name_sessions
from tests.conformance.processes import database_url
from tests.support.at_once import at_once
from tests.support.servers.postgres import Cluster, running_cluster
from tests.support.servers.process import ServerMissingError
from tests.support.sessions import another_connection, end_all_sessions, pid

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def fill_pool(sessions: int) -> None:
    """Have this many idle sessions in the pool."""
    assert len(set(at_once(*[pid] * sessions))) == sessions
    connection.close()


def write(session: Any = connection) -> None:
    with transaction.atomic(using=session.alias), session.cursor() as cursor:
        cursor.execute("CREATE TABLE written (x int)")
        cursor.execute("DROP TABLE written")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server of the module's own. Not below pytest's folder, which a second run closes to the server's user."""
    with TemporaryDirectory() as folder:
        try:
            with running_cluster(Path(folder) / "server") as cluster:
                yield cluster
        except ServerMissingError as reason:
            pytest.skip(str(reason))


@pytest.fixture
def session(cluster: Cluster) -> Iterator[Any]:
    """A connection to a server of the test's own."""
    with another_connection(HOST="127.0.0.1", PORT=cluster.port, NAME="airy", USER="postgres") as other:
        yield other


@pytest.fixture
def lone() -> Iterator[Any]:
    """A connection whose pool has one session."""
    with another_connection(OPTIONS={"pool": {"min_size": 0, "max_size": 1}}) as other:
        yield other


def test_no_request_fails_for_sessions_that_the_server_has_ended() -> None:
    paths = ["/", "/readyz", "/login", "/api/posts", "/"] * 2
    fill_pool(len(paths))
    assert end_all_sessions() >= len(paths)
    requests = [partial(Client().get, path) for path in paths]
    assert [answer.status_code for answer in at_once(*requests)] == [200] * len(paths)
    end_all_sessions()
    assert {request().status_code for request in requests} == {200}


def test_the_first_use_of_a_full_pool_of_dead_sessions_does_not_wait_for_each_of_them() -> None:
    fill_pool(20)
    end_all_sessions()
    started = time.monotonic()
    pid()
    assert time.monotonic() - started < 3


def test_a_thread_that_keeps_its_connection_does_not_notice_that_the_server_ended_it() -> None:
    before = pid()
    end_all_sessions()
    assert pid() != before
    end_all_sessions()
    with transaction.atomic():
        write()


def test_a_transaction_under_way_fails_and_the_next_one_works() -> None:
    with pytest.raises(OperationalError), transaction.atomic():
        pid()
        end_all_sessions()
        pid()
    write()


def test_a_session_that_lay_for_long_is_asked_whether_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    pid()
    monkeypatch.setattr("airy.postgresql.pool.looks_alive", lambda session: True)  # as a silent network does
    connection.close()
    end_all_sessions()
    monkeypatch.setattr("airy.postgresql.pool.UNASKED", 0.0)
    pid()


def test_a_session_with_a_notification_at_its_socket_is_kept(lone: Any, eventually: Callable[..., None]) -> None:
    before = pid(lone)
    with lone.cursor() as cursor:
        cursor.execute("LISTEN something")
    for close in (False, True):
        with psycopg.connect(database_url(), autocommit=True) as other:
            other.execute("NOTIFY something")
        eventually(lambda: not looks_alive(lone.connection))
        if close:
            lone.close()
        assert pid(lone) == before


def test_a_session_is_taken_from_the_pool_without_asking_the_server(lone: Any, tmp_path: Path) -> None:
    pid(lone)
    wire = lone.connection.pgconn
    with (tmp_path / "trace").open("w") as trace:
        wire.trace(trace.fileno())
        lone.close()
        lone.ensure_connection()
        wire.untrace()
    assert lone.connection.pgconn is wire
    assert (tmp_path / "trace").read_text() == ""


def test_a_server_that_became_read_only_costs_one_error_and_not_one_for_each_session() -> None:
    fill_pool(5)

    def make_read_only() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")

    at_once(*[make_read_only] * 5)
    with pytest.raises(InternalError, match="read-only"):
        write()
    connection.close()
    at_once(*[lambda: pid()] * 5)
    for _ in range(5):
        write()
        connection.close()


def test_a_session_in_use_while_another_finds_the_server_read_only_is_closed_when_it_comes_back() -> None:
    held, let_go, pids = threading.Event(), threading.Event(), []

    def hold() -> None:
        pids.append(pid())
        held.set()
        let_go.wait(20)
        connection.close()
        pids.append(pid())
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(20)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    with pytest.raises(InternalError):
        write()
    connection.close()
    let_go.set()
    holder.join(20)
    assert len(set(pids)) == 2


def test_an_error_of_a_statement_keeps_the_session(lone: Any) -> None:
    before = pid(lone)
    with pytest.raises(Error), lone.cursor() as cursor:
        cursor.execute("SELECT * FROM nothing_of_the_kind")
    lone.close()
    assert pid(lone) == before


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_after_a_restart_of_the_server_the_next_statement_works(cluster: Cluster, session: Any, mode: str) -> None:
    before = pid(session)
    cluster.restart(mode)
    assert pid(session) != before
    session.close()
    cluster.restart(mode)
    started = time.monotonic()
    write(session)
    assert time.monotonic() - started < 3


def test_who_waits_while_the_server_is_down_is_served_soon_after_it_is_back(
    cluster: Cluster, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AttemptWithBackoff, "INITIAL_DELAY", 60.0)  # as after a long outage
    pid(session)
    session.close()
    cluster.stop()
    served: list[float] = []

    def wait() -> None:
        with another_connection("waiting", HOST="127.0.0.1", PORT=cluster.port, NAME="airy", USER="postgres") as mine:
            pid(mine)
            served.append(time.monotonic())

    waiter = threading.Thread(target=wait)
    waiter.start()
    waiter.join(1)
    cluster.start()
    started = time.monotonic()
    waiter.join(20)
    assert served
    assert served[0] - started < 3


def test_a_process_names_its_sessions_unless_the_operator_did(monkeypatch: pytest.MonkeyPatch) -> None:
    def name() -> str:
        with psycopg.connect(database_url()) as session:
            return str(session.execute("SHOW application_name").fetchone()[0])  # type: ignore[index]

    monkeypatch.delenv("PGAPPNAME", raising=False)
    for role in ("worker 4711", "relay 4712"):
        name_sessions(role)
        assert name() == f"airy {role}"
    monkeypatch.setenv("PGAPPNAME", "reports")
    name_sessions("web")
    assert name() == "reports"


def test_a_command_names_its_sessions(manage: Callable[..., Any], tmp_path: Path) -> None:
    said = tmp_path / "said"
    code = (
        "from django.db import connection as c; k = c.cursor(); k.execute('SHOW application_name');"
        f"open({str(said)!r}, 'w').write(k.fetchone()[0])"
    )
    assert manage("shell", "-v", "0", "-c", code).wait(60) == 0
    assert said.read_text() == "airy shell"


@pytest.mark.parametrize(
    ("query", "most"),
    [
        ("keepalives_idle=1&keepalives_interval=1&keepalives_count=2&tcp_user_timeout=3000", 20),
        pytest.param("", 40, marks=pytest.mark.slow),
    ],
    ids=["3 s", "25 s"],
)
def test_a_statement_ends_when_the_network_falls_silent(query: str, most: float) -> None:
    namespace = ("unshare", "--net")
    if subprocess.run((*namespace, "ip", "link"), capture_output=True).returncode:
        pytest.skip("no right to make a network namespace, or no iproute2")
    command = (*namespace, sys.executable, "-m", "tests.support.silent_network", query)
    ended = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=200, check=True)
    assert 2 < float(ended.stdout) < most
