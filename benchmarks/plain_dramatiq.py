"""A stock dramatiq actor on a stock RabbitmqBroker, for `python -m dramatiq benchmarks.plain_dramatiq:broker`."""

from __future__ import annotations

import os

import dramatiq
import pika
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.start_time.report import tell

broker = RabbitmqBroker(
    parameters=[
        {
            "host": os.environ["MQ_HOST"],
            "port": int(os.environ["MQ_PORT"]),
            "virtual_host": os.environ["MQ_VHOST"],
            "credentials": pika.PlainCredentials(os.environ["MQ_USER"], os.environ["MQ_PASSWORD"]),
        }
    ]
)


@dramatiq.actor(broker=broker, queue_name="stock")
def hear(number: int) -> None:
    """Only says when it began."""
    tell(number)
