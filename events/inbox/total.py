"""Total: how many groups of a subscriber with `concurrency_total` run at once in all processes.

On PostgreSQL each run holds one of so many advisory locks until its transaction ends, so that a pooler of transactions
is as good as a session of one's own. SQLite has one writer, and the share of the process (`events/brokers/share.py`) is
the limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import Error, connections, router

from ..db.names import table
from ..pace import PutOffError
from ..subscription import Subscription
from .models import Delivery

#: The server chooses the first free one of the locks 1, 2, … of a subscriber of this inbox. Nobody waits for a lock.
_TAKE = (
    "SELECT number FROM generate_series(1, %s) AS number WHERE pg_try_advisory_xact_lock("
    "hashtextextended(concat_ws(' ', %s::regclass::oid, %s::text, number), 0)) LIMIT 1"
)


class NoPlaceError(PutOffError):
    """The subscriber runs as often as it may, here and elsewhere: its messages go back, and cost no attempt."""


def take_place(using: str, subscription: Subscription) -> None:
    """Take one of the subscriber's places, until the transaction that is open on this connection ends.

    Raises NoPlaceError if none is free.
    """
    if _is_limited(using, subscription):
        _take(connections[using], subscription)


@contextmanager
def own_place(subscription: Subscription) -> Iterator[None]:
    """Hold one of the subscriber's places while inside, whatever transactions begin and end there.

    It takes one more connection. Raises NoPlaceError if none is free.
    """
    using = router.db_for_write(Delivery)
    if not _is_limited(using, subscription):
        yield
        return
    session = connections[using].copy()
    try:
        session.set_autocommit(False)
        with session.cursor() as cursor:
            # It waits in its transaction while the subscriber works.
            cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
        _take(session, subscription)
        yield
    finally:
        with suppress(Error):
            session.rollback()
        session.close()


def _is_limited(using: str, subscription: Subscription) -> bool:
    return subscription.concurrency_total is not None and connections[using].vendor == "postgresql"


def _take(connection: Any, subscription: Subscription) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [subscription.concurrency_total, table(Delivery), subscription.name])
        if cursor.fetchone() is None:
            raise NoPlaceError(f"{subscription.name} runs {subscription.concurrency_total} times already")
