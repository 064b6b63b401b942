"""`manage.py migrate`: as Django's; on PostgreSQL no request waits behind it for long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

#: A migration that waits longer for the lock of a table gives way: whoever needs the table queues behind it meanwhile.
LOCK_TIMEOUT = "500ms"
#: Seconds before each further attempt, five minutes in all.
PAUSES = (1, 2, 4, 8, 15, *[30] * 9)
#: PostgreSQL's codes of a lock that was not granted in time, and of a deadlock.
SQLSTATES = {"55P03", "40P01"}


class Command(migrate.Command):
    """A migration that gives way is rolled back, and begins anew after a pause. What is applied stays applied."""

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        # A pooler of transactions lends its sessions, and what is set in them, to everybody.
        pooled = settings.DATABASE_DIRECT_URL not in ("", settings.DATABASE_URL)
        if connection.vendor != "postgresql" or pooled:
            super().handle(*args, **options)
            return
        for pause in (*PAUSES, None):
            try:
                with short_waits(connection):
                    super().handle(*args, **options)
                return
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", None) not in SQLSTATES:
                    raise
                if pause is None:
                    raise CommandError(
                        "Other transactions kept a table for five minutes. Look for old ones in pg_stat_activity, and"
                        f" run `manage.py migrate` again: what is applied stays applied. ({error})"
                    ) from error
                self.stderr.write(f"A table is in use. The migration gave way and is tried again in {pause} s.")
            time.sleep(pause)


@contextmanager
def short_waits(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let statements of this session wait LOCK_TIMEOUT for a lock, at most."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
