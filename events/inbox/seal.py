"""Seal: the transaction of a delivery is committed by its worker, or not at all.

While a subscriber runs, its transaction cannot be committed: neither by a COMMIT that the subscriber sends, nor by the
driver's own `commit()`. At the end the seal is broken, together with the COMMIT. It is gone before if the transaction
was rolled back, wholly or to a savepoint before it, also when another one was begun in its place.

PostgreSQL: the seal is a setting of this transaction; a deferred constraint trigger on the inbox refuses a COMMIT while
it stands. SQLite: the seal is a row that violates a deferred foreign key until it is deleted. Migration 0006 has both.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from ..db.commit import GONE, NotCommittedError
from ..db.names import function

#: Fails, with GONE in its message, unless the seal stands: there is no setting of that name. All other names are
#: PostgreSQL's own, because the subscriber may have set another search_path.
BREAK = (
    "SELECT CASE WHEN pg_catalog.current_setting('events.seal', true) = 'stands'"
    f" THEN pg_catalog.set_config('events.seal', '', true) ELSE pg_catalog.current_setting('{GONE}') END"
)


class DeliverySeal:
    """The seal of one transaction that writes deliveries as done, with `record_done(…, time_limit=…)`."""

    def __init__(self, model: type[models.Model]) -> None:
        self._table = function(model, "seal")
        self._row: int | None = None

    def begin(self, connection: Any) -> None:
        if connection.vendor != "sqlite":
            return  # `record_done` sets it, together with its rows and the BEGIN
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {self._table} (broken) VALUES (0)")
            self._row = cursor.lastrowid

    def end(self, connection: Any) -> str:
        if connection.vendor == "postgresql":
            return BREAK
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {self._table} WHERE id = %s", [self._row])
            if cursor.rowcount != 1:
                raise NotCommittedError.ended()
        return ""
