"""Commit: a transaction whose success can be acted on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, Self

from django.db import DEFAULT_DB_ALIAS, Error, IntegrityError, connections, transaction
from django.db.transaction import TransactionManagementError

from ..errors import summary
from .discard import discard
from .outages import is_outage

#: Stands in the message of the error by which a seal says that its transaction is gone.
GONE = "events_this_transaction_is_gone"
#: PostgreSQL's code of a statement in a transaction that has failed already.
FAILED_BEFORE = "25P02"

#: Seals a transaction on PostgreSQL: a cursor ends with it. Neither statement is planned, so both take a few
#: microseconds.
SEAL, BREAK = f"DECLARE {GONE} CURSOR FOR VALUES (1)", f"CLOSE {GONE}"

CAUGHT = (
    "{error} was caught in it, which leaves the transaction broken: put what may fail into a"
    " `with transaction.atomic():` of its own, inside of the try"
)
ASKED = "a rollback was asked for in it, or an inner atomic(savepoint=False) failed: raise an exception instead"
CLOSED = (
    "its connection was closed or replaced in it: do not call close(), close_old_connections() or"
    " connections.close_all() inside of a transaction"
)
LOST = "the session with the database was lost in it"
ENDED = (
    "a COMMIT or ROLLBACK was sent in it: use transaction.atomic() for savepoints"
    " (a subscriber that needs several transactions: atomic=False)"
)
LEFT_OPEN = "an atomic() that was entered in it was not left: use it with `with`"


class NotCommittedError(TransactionManagementError):
    """A block ended, but its transaction was not committed."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"its transaction was rolled back: {reason}")

    @classmethod
    def ended(cls) -> Self:
        """The transaction was ended inside of the block."""
        return cls(ENDED)


class Seal(Protocol):
    """Tells one transaction from another that was begun in its place, and may keep it from being committed before."""

    def begin(self, connection: Any) -> None:
        """Called as the transaction begins."""

    def end(self, connection: Any) -> str:
        """Called last. Raises NotCommittedError unless it is the same transaction; or returns a statement which fails
        in the database then, with GONE in its message. It travels with the COMMIT."""


class committed:
    """As `transaction.atomic(using=…)`; but when the block ends, its work is committed, or an exception is raised.

    `atomic()` ends without an exception, and rolls back, if a database error was caught inside of it, if a rollback was
    asked for or the connection was closed; and it cannot see a COMMIT or ROLLBACK that was sent as a statement. Use
    this wherever something is concluded from the end of the block.

    Inside of another transaction the block is a savepoint, as with atomic(): it is then a part of that transaction.

    seal: tells this transaction from another one that was begun in its place.

    Raises NotCommittedError with the cure, or the error of the COMMIT; then everything is rolled back, and no on_commit
    callback has run.
    """

    def __init__(self, *, using: str | None = None, seal: Seal | None = None) -> None:
        self._alias = using or DEFAULT_DB_ALIAS
        self._seal = seal
        self._atomic = transaction.atomic(using=self._alias)
        self._begun = False

    def __enter__(self) -> Self:
        connection: Any = connections[self._alias]
        self.connection: Any = connection
        self.nested = connection.in_atomic_block
        if not self.nested and not connection.get_autocommit():
            raise NotCommittedError("autocommit is off, so nothing would commit it: set_autocommit(True) first")
        if self.nested and connection.needs_rollback:
            raise NotCommittedError(f"the transaction around it is broken: {self._caught()}")
        if not self.nested:
            connection.rollback_exc = None
        self._atomic.__enter__()
        self._session = connection.connection
        try:
            if self._seal:
                self._seal.begin(connection)
            else:
                self._begin()
        except BaseException as error:
            self._atomic.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            if self._seal and isinstance(error, (IntegrityError, sqlite3.IntegrityError)):
                _explain(error)
            self._roll_back(error)
            if isinstance(error, Exception) and _is_lost(self._session) and not is_outage(error):
                raise NotCommittedError(LOST) from _lost(self._session)
            return
        try:
            self.check()
            self._close()
        except BaseException as broken:
            self._roll_back(broken)
            raise
        self._atomic.__exit__(None, None, None)

    def check(self) -> None:
        """Raise NotCommittedError if the transaction can no longer be committed. It asks the client alone, so it costs
        no round trip."""
        connection, session = self.connection, self._session
        current: Any = connections[self._alias]
        if self._is_whole(current):
            return
        if _is_lost(session):
            raise NotCommittedError(LOST) from _lost(session)
        if current is not connection or connection.closed_in_transaction or connection.connection is not session:
            raise NotCommittedError(CLOSED)
        if connection.needs_rollback:
            raise NotCommittedError(self._caught()) from connection.rollback_exc
        if not connection.in_atomic_block or self._atomic not in connection.atomic_blocks:
            raise NotCommittedError(ENDED)
        if connection.atomic_blocks[-1] is not self._atomic:
            raise NotCommittedError(LEFT_OPEN)
        if connection.vendor == "postgresql":
            self._check_on_postgresql()
        elif connection.vendor == "sqlite":
            _check_on_sqlite(session)

    def _is_whole(self, current: Any) -> bool:
        """The answer for nearly every event, in a microsecond. PostgreSQL's 2 is `TransactionStatus.INTRANS`."""
        connection, session = self.connection, self._session
        if (
            current is not connection
            or connection.connection is not session
            or connection.needs_rollback
            or not connection.in_atomic_block
            or connection.closed_in_transaction
            or connection.atomic_blocks[-1:] != [self._atomic]
        ):
            return False
        return bool(connection.vendor == "postgresql" and session.pgconn.transaction_status == 2)

    def _check_on_postgresql(self) -> None:
        from psycopg.pq import TransactionStatus

        status = self._session.pgconn.transaction_status
        if status == TransactionStatus.INTRANS:
            return
        if status == TransactionStatus.INERROR:
            raise NotCommittedError(CAUGHT.format(error="a database error"))
        if status != TransactionStatus.IDLE:
            raise NotCommittedError(CLOSED)
        if self._begun or self._seal or self.nested:
            raise NotCommittedError(ENDED)

    def _caught(self) -> str:
        error: BaseException | None = self.connection.rollback_exc
        return CAUGHT.format(error=summary(error)) if error else ASKED

    def _begin(self) -> None:
        """Begin and seal on PostgreSQL now: psycopg would begin with the first statement, with a round trip of its own,
        too."""
        connection, session = self.connection, self._session
        if self.nested or connection.vendor != "postgresql" or connection.execute_wrappers:
            return
        if session.isolation_level is not None or session.read_only is not None or session.deferrable is not None:
            return
        from psycopg.pq import ExecStatus, TransactionStatus

        if session.pgconn.transaction_status == TransactionStatus.IDLE:
            self._begun = session.pgconn.exec_(f"BEGIN; {SEAL}".encode()).status == ExecStatus.COMMAND_OK

    def _close(self) -> None:
        """Check the seal; on PostgreSQL together with the COMMIT. Then Django's own COMMIT has nothing to do."""
        statement = self._seal.end(self.connection) if self._seal else BREAK if self._begun else ""
        if not statement:
            return
        connection = self.connection
        if self.nested or connection.queries_logged or connection.execute_wrappers:
            with connection.cursor() as cursor, _refusals():
                cursor.execute(statement)
            return
        with connection.wrap_database_errors, _refusals():
            _commit(self._session, statement)

    def _roll_back(self, error: BaseException) -> None:
        """Leave no transaction behind, whatever has become of the connection."""
        connection = self.connection
        if connections[self._alias] is not connection:
            connections[self._alias] = connection
        if self._atomic in connection.atomic_blocks:
            while connection.atomic_blocks[-1] is not self._atomic:  # what was entered and not left
                connection.atomic_blocks.pop()
                connection.savepoint_ids.pop()
        is_whole = self._atomic in connection.atomic_blocks and connection.in_atomic_block
        is_same = connection.connection is self._session or connection.closed_in_transaction
        if is_whole and is_same:
            self._atomic.__exit__(type(error), error, error.__traceback__)
            return
        if connection.connection is not self._session:
            _close_for_good(self._session)
        if self.nested:
            discard(connection)
        else:
            abandon(connection)


@contextmanager
def none_left_open(using: str) -> Iterator[None]:
    """For work in its own transactions. Raises NotCommittedError if it leaves one of them open."""
    before = len(connections[using].atomic_blocks)
    try:
        yield
    finally:
        connection = connections[using]
        is_left_open = len(connection.atomic_blocks) > before or not (before or connection.get_autocommit())
        if is_left_open and not before:
            abandon(connection)
    if is_left_open:
        raise NotCommittedError(LEFT_OPEN)


def abandon(connection: Any) -> None:
    """Discard the session, with every block that was entered on the connection and not left."""
    discard(connection)
    connection.connection = None
    connection.in_atomic_block = connection.closed_in_transaction = connection.needs_rollback = False
    connection.savepoint_ids, connection.atomic_blocks, connection.run_on_commit = [], [], []


class _refusals:
    """Turns a seal's refusal into NotCommittedError."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, NotCommittedError):
            return
        if GONE in str(error):
            raise NotCommittedError(ENDED) from error
        if FAILED_BEFORE in (getattr(error, "sqlstate", None), getattr(error.__cause__, "sqlstate", None)):
            raise NotCommittedError(CAUGHT.format(error="a database error")) from error


def _commit(session: Any, statement: str) -> None:
    """The statement and the COMMIT in one message. Raises psycopg's error of either."""
    import psycopg
    from psycopg.pq import ConnStatus, ExecStatus

    wire = session.pgconn
    result = wire.exec_(f"{statement}; COMMIT".encode())
    if wire.status != ConnStatus.OK:
        raise psycopg.OperationalError(wire.get_error_message())
    if result.status != ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(result)
    if result.command_status != b"COMMIT":
        raise NotCommittedError(CAUGHT.format(error="a database error"))


def _explain(error: Exception) -> None:
    """How SQLite refuses a COMMIT while a seal stands."""
    if "FOREIGN KEY" in str(error):
        error.add_note(f"It may be that {ENDED}")


def _check_on_sqlite(session: Any) -> None:
    try:
        is_open = session.in_transaction
    except sqlite3.ProgrammingError as error:
        raise NotCommittedError(CLOSED) from error
    if not is_open:
        raise NotCommittedError(ENDED)


def _is_lost(session: Any) -> bool:
    """Whether psycopg has seen that the session broke, which is not what closing it does."""
    return bool(getattr(session, "broken", False))


def _lost(session: Any) -> Exception:
    import psycopg

    return psycopg.OperationalError(session.pgconn.get_error_message())


def _close_for_good(session: Any) -> None:
    """Close a session that no Django connection has any more."""
    with suppress(Error, sqlite3.Error, AttributeError):
        pool = getattr(session, "_pool", None)
        session.close()
        if pool is not None:
            pool.putconn(session)
