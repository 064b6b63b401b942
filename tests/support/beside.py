"""beside: run work in a thread beside a transaction, and wait until it is held up by that transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

#: Seconds after which a test fails.
WITHIN = 30.0


@contextmanager
def transaction_beside(work: Callable[[], Any]) -> Iterator[list[Any]]:
    """A transaction. When the block ends, `work` is started beside it; once it waits for the transaction, that commits.

    The list has what `work` returned, or the exception it raised, after the block. PostgreSQL only.
    """
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            outcome.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        yield outcome
        thread.start()
        _wait_until_one_is_held_up()
    thread.join(WITHIN)
    assert not thread.is_alive(), "the work beside the transaction does not end"


def _wait_until_one_is_held_up() -> None:
    deadline = time.monotonic() + WITHIN
    while not _is_one_held_up():
        assert time.monotonic() < deadline, "nothing waits for this transaction"
        time.sleep(0.01)


def _is_one_held_up() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))")
        return cursor.fetchone() is not None
