"""Drivers: the libraries that speak with the servers, in the fast kind."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from django.db import connections, router

from ..finding import Finding, Severity
from ..outbox.models import OutboxMessage
from .examination import examination


@examination("Drivers")
def drivers() -> Iterator[Finding]:
    """The driver of the database is compiled."""
    if connections[router.db_for_write(OutboxMessage)].vendor == "postgresql":
        from psycopg import pq

        yield from slow_driver(pq.__impl__)
    if not sys.warnoptions and sys.flags.dev_mode:
        yield Finding(
            problem="Python runs in development mode: everything is slower, and the log fills with warnings.",
            cure="Start without `-X dev` and without PYTHONDEVMODE.",
            severity=Severity.WARNING,
        )


def slow_driver(implementation: str) -> Iterator[Finding]:
    """implementation: what psycopg speaks through: "c", "binary" or "python"."""
    if implementation == "python":
        yield Finding(
            problem="psycopg runs in its Python form: every statement takes several times the processor time.",
            cure='Install "psycopg[binary]", or "psycopg[c]" where a compiler is, and leave PSYCOPG_IMPL out.',
            severity=Severity.WARNING,
        )
