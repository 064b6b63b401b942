"""Figures: what every process says of itself: its version, its pool of database sessions, and the processor's time."""

from __future__ import annotations

import time

from django.db import DEFAULT_DB_ALIAS, connections

from airy import VERSION
from events.figures import Counter, Gauge


def declare_figures() -> None:
    """Declare them; once, as a process begins."""
    for name, key, meaning in (
        ("size", "pool_size", "Sessions with the database in the pools"),
        ("in_use", "", "Sessions with the database that a thread has out of a pool"),
        ("waiting", "requests_waiting", "Threads that wait for a session of a full pool"),
    ):
        Gauge(f"airy_database_pool_{name}", meaning, read=lambda key=key: _of_database_pool(key))
    Counter("airy_process_cpu_seconds_total", "Processor time of all processes", read=time.process_time)
    Gauge(
        "airy_build_info",
        "1 for each version of Airy that runs",
        across="max",
        labels=["version"],
        known=lambda: [(VERSION,)],
        read=lambda: 1,
    )


def _of_database_pool(key: str) -> float:
    pool = getattr(connections[DEFAULT_DB_ALIAS], "pool", None)
    if pool is None:
        return 0
    told = pool.get_stats()
    return float(told.get(key, 0) if key else told.get("pool_size", 0) - told.get("pool_available", 0))
