"""An actor of dramatiq on dramatiq's own RabbitmqBroker, for `python -m dramatiq benchmarks.plain_dramatiq:broker`."""

from __future__ import annotations

import os

import dramatiq
import pika
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.start_time.report import report_start_time

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


@dramatiq.actor(broker=broker, queue_name="plain")
def report_start(number: int) -> None:
    """Only reports when it started."""
    report_start_time(number)
