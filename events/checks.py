"""Checks: settings with which events would not be delivered as promised."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands
from django.db import connections, router

from .brokers.contract import GROUPS_AHEAD, EventBroker
from .envelope import source
from .event_source import EventSource
from .keep import as_keep_time, keep_times, partition_days
from .outbox.models import OutboxMessage, StoredEvent
from .signature import signing_keys
from .subscription import Subscription, subscriptions


def check_broker(**kwargs: Any) -> list[CheckMessage]:
    """The broker delivers events, and has every method of the contract."""
    broker = dramatiq.get_broker()
    name = type(broker).__name__
    if isinstance(broker, EventBroker):
        contract = [
            one for one in vars(EventBroker) if getattr(getattr(type(broker), one), "__isabstractmethod__", False)
        ]
        return [
            Error(
                f"{name} has no method {method}().",
                hint="Implement it as events/brokers/contract.py describes it.",
                id="events.E002",
            )
            for method in contract
        ]
    return [
        Error(
            f"{name} cannot carry events.",
            hint='Set DRAMATIQ_BROKER["BROKER"] to "events.brokers.rabbitmq.RabbitmqBroker" or the embedded one.',
            id="events.E001",
        )
    ]


def check_command(**kwargs: Any) -> list[CheckMessage]:
    """Where the broker is at a server, `manage.py rundramatiq` is ours: Django takes the command of the first app that
    has one of this name."""
    broker, ours = dramatiq.get_broker(), __package__
    if not isinstance(broker, EventBroker) or broker.in_process or get_commands().get("rundramatiq") == ours:
        return []
    return [
        Warning(
            "`manage.py rundramatiq` is not that of events: a worker that dies ends the others, and the relay stops"
            " while a subscriber holds the interpreter.",
            hint=f'Put "{ours}" before "django_dramatiq" in INSTALLED_APPS.',
            id="events.W004",
        )
    ]


def check_time_limits(**kwargs: Any) -> list[CheckMessage]:
    """No message may be held for longer than the broker lets a consumer hold it: it would deliver it again.

    A message is held while it runs, and before that while those in front of it run in the same process. That is counted
    for subscribers whose time limit says that they take long; the others have the default to be on the safe side.
    """
    broker = dramatiq.get_broker()
    longest = broker.longest_run if isinstance(broker, EventBroker) else None
    if longest is None:
        return []
    long = sorted(
        f"{one.name} ({held} at {one.time_limit / 60_000:g} min each)"
        for one in subscriptions.values()
        if one.time_limit > Subscription.time_limit and (held := _held(one)) * one.time_limit > longest
    )
    if not long:
        return []
    return [
        Warning(
            "RabbitMQ redelivers messages not acknowledged for 30 minutes; a message may wait that long in a worker"
            f" behind others of the same subscriber: {', '.join(long)}.",
            hint="Set a shorter time_limit and group=1, cut the work into smaller events, or raise RabbitMQ's"
            ' consumer_timeout and add "events.W003" to SILENCED_SYSTEM_CHECKS.',
            id="events.W003",
        )
    ]


def _held(subscription: Subscription) -> int:
    """The calls that a process may hold for a subscriber: a batch is one call."""
    return GROUPS_AHEAD * (1 if subscription.batch else subscription.group_size)


def check_keep_times(**kwargs: Any) -> list[CheckMessage]:
    """The keep times, and the length of a partition, can be read."""
    try:
        keep_times()
        as_keep_time("EVENTS_KEEP_ATTEMPTS", getattr(settings, "EVENTS_KEEP_ATTEMPTS", None))
        as_keep_time("EVENTS_KEEP_DEAD_LETTERS", getattr(settings, "EVENTS_KEEP_DEAD_LETTERS", None))
        partition_days()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="events.E014")]
    return []


def check_signing_keys(**kwargs: Any) -> list[CheckMessage]:
    """The keys that sign messages are a list of texts, and the source that they vouch for fits its column."""
    found: list[CheckMessage] = []
    try:
        signing_keys()
    except ImproperlyConfigured as error:
        found.append(Error(str(error), id="events.E010"))
    if not 0 < len(source()) <= 200:
        found.append(Error("EVENTS_SOURCE must have from 1 to 200 characters.", id="events.E011"))
    return found


def check_threads(**kwargs: Any) -> list[CheckMessage]:
    """A worker has more than one thread: all slow subscribers together leave one free."""
    if os.environ.get("DRAMATIQ_NTHREADS") != "1":
        return []
    return [
        Warning(
            "With one thread in a worker, one slow subscriber stops all others.",
            hint="Set DRAMATIQ_NTHREADS to 2 or more.",
            id="events.W009",
        )
    ]


def check_database(**kwargs: Any) -> list[CheckMessage]:
    """SQLite's transactions take the write lock first, and a connection pool is large enough for a worker's threads."""
    connection = connections[router.db_for_write(OutboxMessage)]
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


def check_one_database(**kwargs: Any) -> list[CheckMessage]:
    """A model whose changes are events is written to the database of the events: they commit together."""
    events = router.db_for_write(StoredEvent)
    return [
        Warning(
            f"{model._meta.object_name} is written to {using!r}, events to {events!r}: they cannot commit together.",
            hint="Let a database router send both to one database. What a subscriber writes to another database may be"
            " written twice: declare it with atomic=False and make it idempotent.",
            obj=model,
            id="events.W005",
        )
        for model in apps.get_models()
        if issubclass(model, EventSource) and (using := router.db_for_write(model)) != events
    ]
