"""SQLite for many threads: writers of this process queue in the order they came, instead of polling for the lock.

SQLite's own busy handler sleeps and retries, so under a steady stream of writers one of them can lose every race
until its time-out ("database is locked"). Here every writing transaction and every writing statement outside of one
takes its turn at a FIFO gate first; the busy handler is left for writers of other processes.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.sqlite3 import base

READS = ("SELECT", "PRAGMA", "EXPLAIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")


class Gate:
    """A lock handed over in the order of arrival."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self) -> None:
        with self._mutex:
            if not self._held:
                self._held = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def release(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False


_gates: dict[str, Gate] = {}
_gates_mutex = threading.Lock()


def gate_of(name: str) -> Gate:
    """The one gate of a database file in this process."""
    with _gates_mutex:
        return _gates.setdefault(str(name), Gate())


class Cursor(base.SQLiteCursorWrapper):
    """Takes a turn at the gate around a writing statement in autocommit."""

    gate: Gate

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
        self.gate.acquire()
        try:
            yield
        finally:
            self.gate.release()


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's SQLite wrapper, its transactions opened one after the other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held_gate: Gate | None = None

    def create_cursor(self, name: str | None = None) -> Cursor:
        cursor = self.connection.cursor(factory=Cursor)
        cursor.gate = gate_of(self.settings_dict["NAME"])
        return cursor  # type: ignore[no-any-return]

    # The four below are Django's own seams between a wrapper and its connection, which its stubs leave out.

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
