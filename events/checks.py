"""Checks: settings with which events would not flow as promised."""

from __future__ import annotations

from typing import Any

import dramatiq
from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections, router

from events.brokers.contract import EventBroker


def check_broker(**kwargs: Any) -> list[CheckMessage]:
    """The broker carries events."""
    broker = dramatiq.get_broker()
    if isinstance(broker, EventBroker):
        return []
    return [
        Error(
            f"{type(broker).__name__} carries no events.",
            hint='Set DRAMATIQ_BROKER["BROKER"] to "events.brokers.rabbitmq.RabbitmqBroker" or the embedded one.',
            id="events.E001",
        )
    ]


def check_database(**kwargs: Any) -> list[CheckMessage]:
    """SQLite's writers do not fail for want of the lock, and a connection pool serves all threads of a worker."""
    connection = connections[router.db_for_write(apps.get_model("events.OutboxMessage"))]
    options = connection.settings_dict.get("OPTIONS", {})
    found: list[CheckMessage] = []
    if connection.vendor == "sqlite" and options.get("transaction_mode") != "IMMEDIATE":
        found.append(
            Warning(
                "SQLite transactions that read first and write later fail with 'database is locked'.",
                hint='Set OPTIONS["transaction_mode"] = "IMMEDIATE" in DATABASES.',
                id="events.W001",
            )
        )
    pool = options.get("pool")
    if isinstance(pool, dict) and (pool.get("max_size") or pool.get("min_size", 4)) < 12:
        found.append(
            Warning(
                "The database's connection pool is smaller than a worker's threads (8, relay, reconcile, heartbeat).",
                hint='Raise OPTIONS["pool"]["max_size"] in DATABASES to 12 or more.',
                id="events.W002",
            )
        )
    return found
