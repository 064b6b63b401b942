"""Base: a database wrapper for PostgreSQL that never gives a failed session back to the pool."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from psycopg import pq

from airy.postgresql.pool import Pool, looks_alive
from events.db import is_outage


class OutageWrapper(DatabaseErrorWrapper):
    """Django's translation of the driver's errors; it notes at its connection that one told of an outage."""

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if exc_type is not None and is_outage(exc_value):
            self.wrapper.failed = True  # type: ignore[attr-defined]
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's PostgreSQL wrapper. After an outage (a lost session, a server that became read-only, …) the session is
    closed for good when it is given back, with all others of the pool; outside of a transaction a session that is dead
    is replaced before it is used."""

    #: Whether an outage was met on the present session.
    failed = False

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return OutageWrapper(self)

    @property
    def pool(self) -> Pool | None:
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        pools: dict[str, Pool] = self._connection_pools  # type: ignore[attr-defined]
        if self.alias not in pools:
            parameters = self.get_connection_params() | {"autocommit": True}
            configure = self._configure_connection  # type: ignore[attr-defined]
            made = Pool(kwargs=parameters, open=False, configure=configure, **options)
            pools.setdefault(self.alias, made)  # another thread may have been faster
        return pools[self.alias]

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        session = super().get_new_connection(conn_params)
        self.failed = False
        return session

    def close_if_health_check_failed(self) -> None:
        """Django calls this before each statement outside of a transaction, and before the begin of one."""
        session = self.connection
        if session is None or self.in_atomic_block or not self.settings_dict["CONN_HEALTH_CHECKS"]:
            return
        status = session.pgconn.transaction_status
        if self.failed or status == pq.TransactionStatus.UNKNOWN:
            lost = True
        else:
            lost = status == pq.TransactionStatus.IDLE and not looks_alive(session) and not self.is_usable()
        if lost:
            self.failed = True
            self.close()

    def _close(self) -> None:
        if self.failed and self.connection is not None:
            self.failed = False
            self.connection.close()
            if self.pool and self.connection._created_at > self.pool._drained_at:  # else the others are newer
                self.pool.drain()
        super()._close()  # type: ignore[misc]
