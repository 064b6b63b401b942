"""Django: its private parts that Airy uses are there. Read a new version of Django before it is taken."""

import inspect

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.base import DatabaseWrapper, SQLiteCursorWrapper
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.test import RequestFactory


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
