"""RabbitMQ: the server of a run, through rabbitmqctl and through a connection."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import dramatiq
import pika
from django.conf import settings


class Server(Protocol):
    """A RabbitMQ of the run's own: guest's, on 127.0.0.1."""

    port: int

    def control(self, *arguments: str) -> str:
        """`rabbitmqctl`. Raises RuntimeError with its words."""


def rabbitmqctl(*arguments: str) -> str:
    """Run rabbitmqctl; raises CalledProcessError with its words."""
    return subprocess.run(("rabbitmqctl", "-q", *arguments), check=True, capture_output=True, text=True).stdout


def remove_queues() -> None:
    """Remove this run's queues: an event of one test must not reach the next. Workers declare them anew."""
    broker = dramatiq.get_broker()
    with pika.BlockingConnection(broker.parameters) as connection:
        channel = connection.channel()
        for queue in broker.subscriptions:
            channel.queue_delete(queue)


@contextmanager
def new_vhost(name: str) -> Iterator[str]:
    """A RabbitMQ vhost, removed on leaving."""
    rabbitmqctl("add_vhost", name)
    try:
        rabbitmqctl("set_permissions", "-p", name, settings.MQ_USER, ".*", ".*", ".*")
        yield name
    finally:
        rabbitmqctl("delete_vhost", name)
