"""Temporary services: a database, a RabbitMQ vhost and Django, set up for one benchmark and removed after it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlparse

import psycopg

POSTGRES = os.environ.get("AIRY_BENCH_POSTGRES", "postgres://postgres@127.0.0.1:5432")
RABBITMQ = os.environ.get("AIRY_BENCH_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672")


@contextmanager
def temporary_services(name: str, **environment: str) -> Iterator[None]:
    """Django set up on a new PostgreSQL database and a new RabbitMQ vhost, both called `name`.

    environment: further environment variables, set before Django reads its settings.
    """
    url = urlparse(RABBITMQ)
    os.environ |= {
        "DATABASE_URL": f"{POSTGRES}/{name}",
        "MQ_HOST": url.hostname or "localhost",
        "MQ_PORT": str(url.port or 5672),
        "MQ_USER": url.username or "guest",
        "MQ_PASSWORD": url.password or "guest",
        "MQ_VHOST": name,
        "SECRET_KEY": "only-for-benchmarks-and-long-enough-for-a-production-start",
        "LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "airy.settings",
    } | environment
    with psycopg.connect(f"{POSTGRES}/postgres", autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}"')
        # A vhost of an interrupted run still has messages in its queues.
        subprocess.run(("rabbitmqctl", "-q", "delete_vhost", name), capture_output=True)
        _rabbitmqctl("add_vhost", name)
        _rabbitmqctl("set_permissions", "-p", name, os.environ["MQ_USER"], ".*", ".*", ".*")
        try:
            import django

            django.setup()
            from django.core.management import call_command
            from django.db import connections

            call_command("migrate", verbosity=0)
            yield
            connections.close_all()
        finally:
            _rabbitmqctl("delete_vhost", name)
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _rabbitmqctl(*arguments: str) -> None:
    subprocess.run(("rabbitmqctl", "-q", *arguments), check=True, capture_output=True)
