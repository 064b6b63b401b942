"""Django: its private parts that Airy uses are there. Read a new version of Django before it is taken."""

import inspect

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.base import DatabaseWrapper, SQLiteCursorWrapper
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.test import RequestFactory
from psycopg_pool import ConnectionPool
from psycopg_pool.pool import AddConnection


def test_the_check_of_origins_is_there_and_takes_a_request() -> None:
    origin_verified = CsrfViewMiddleware(HttpResponse)._origin_verified
    assert origin_verified(RequestFactory().get("/", headers={"Origin": "http://testserver"})) is True
    assert origin_verified(RequestFactory().get("/", headers={"Origin": "http://evil.example"})) is False


def test_the_transactions_of_sqlite_begin_and_end_where_the_gate_expects_it() -> None:
    assert inspect.signature(DatabaseWrapper._start_transaction_under_autocommit).parameters.keys() == {"self"}
    for name in ("_commit", "_rollback", "_close"):
        assert inspect.signature(getattr(BaseDatabaseWrapper, name)).parameters.keys() == {"self"}
    assert callable(DatabaseWrapper.create_cursor)
    assert list(inspect.signature(SQLiteCursorWrapper.execute).parameters) == ["self", "query", "params"]
    assert list(inspect.signature(SQLiteCursorWrapper.executemany).parameters) == ["self", "query", "param_list"]


def test_the_sessions_of_postgresql_are_opened_checked_and_closed_where_the_pool_expects_it() -> None:
    postgresql = pytest.importorskip("django.db.backends.postgresql.base")
    for name in ("_close", "_configure_connection", "close_if_health_check_failed", "get_new_connection"):
        assert callable(getattr(postgresql.DatabaseWrapper, name))
    assert isinstance(postgresql.DatabaseWrapper._connection_pools, dict)
    source = inspect.getsource(BaseDatabaseWrapper)
    assert source.count("self.close_if_health_check_failed()") == 2  # before a statement, before a transaction


def test_the_inside_of_psycopgs_pool_is_as_the_pool_expects_it() -> None:
    pool = ConnectionPool(open=False, min_size=0, max_size=1)
    assert not pool._pool
    assert (pool._nconns, pool._nconns_min, pool._drained_at) == (0, 0, 0.0)
    assert list(inspect.signature(ConnectionPool.schedule_task).parameters) == ["self", "task", "delay"]
    assert "self.schedule_task(\n                    AddConnection(" in inspect.getsource(
        ConnectionPool._add_connection
    )
    assert AddConnection.__mro__[1].__name__ == "MaintenanceTask"
