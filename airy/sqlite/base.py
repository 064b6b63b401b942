"""Base: a database wrapper for SQLite with many threads; the writers of this process get the lock in order of arrival.

SQLite's own busy handler sleeps and retries. With many writers, one of them can lose every race until its time-out
("database is locked"). Here each writing transaction, and each writing statement outside of one, first waits at a
first-in-first-out gate. The busy handler then only waits for writers of other processes.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.sqlite3 import base

#: Statements that need no gate.
READS = ("SELECT", "PRAGMA", "EXPLAIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")


class Gate:
    """A lock that threads get in the order of arrival."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self) -> None:
        """Wait until all earlier threads have released it."""
        with self._mutex:
            if not self._held:
                self._held = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def release(self) -> None:
        """Give it to the next thread that waits, if there is one."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False


_gates: dict[str, Gate] = {}
_gates_mutex = threading.Lock()


def gate_of(name: str) -> Gate:
    """The gate of a database file; a process has one per file."""
    with _gates_mutex:
        return _gates.setdefault(str(name), Gate())


class Cursor(base.SQLiteCursorWrapper):
    """Holds the gate during a writing statement in autocommit."""

    gate: Gate
    wrapper: "DatabaseWrapper"

    def execute(self, query: str, params: Any = None) -> Any:
        with self._turn(query):
            return super().execute(query, params)

    def executemany(self, query: str, param_list: Any) -> Any:
        with self._turn(query):
            return super().executemany(query, param_list)

    @contextmanager
    def _turn(self, query: str) -> Iterator[None]:
        if self.connection.in_transaction or query.lstrip().upper().startswith(READS):
            yield
            return
        if self.wrapper.holds_gate:
            raise sqlite3.OperationalError(
                "the transaction was ended inside of its atomic() block, so this would be committed by itself"
            )
        self.gate.acquire()
        try:
            yield
        finally:
            self.gate.release()


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's SQLite wrapper; it holds the gate from the begin of a transaction to its end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held_gate: Gate | None = None

    def create_cursor(self, name: str | None = None) -> Cursor:
        cursor = self.connection.cursor(factory=Cursor)
        cursor.gate = gate_of(self.settings_dict["NAME"])
        cursor.wrapper = self
        return cursor  # type: ignore[no-any-return]

    @property
    def holds_gate(self) -> bool:
        """Whether a transaction began that Django has not ended."""
        return self._held_gate is not None

    # The four below override private methods of Django, which its stubs leave out. tests/test_django.py checks them.

    def _start_transaction_under_autocommit(self) -> None:
        gate = gate_of(self.settings_dict["NAME"])
        gate.acquire()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            gate.release()
            raise
        self._held_gate = gate

    def _leave_gate(self) -> None:
        gate, self._held_gate = self._held_gate, None
        if gate is not None:
            gate.release()

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self._leave_gate()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._leave_gate()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._leave_gate()
