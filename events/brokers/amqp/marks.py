"""Marks: two queues that are never used, and say to which installation a prefix of queues and a source belong.

The installation's id is their x-max-length. RabbitMQ refuses to declare a queue with another one, in one step, so two
installations cannot both leave their mark.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from pika.exceptions import ChannelClosedByBroker

from ...envelope import source
from ...logger import get_logger
from ...subscription import queue_of
from ..contract import ClaimError
from .calls import Calls
from .refusals import ACCESS_REFUSED, PRECONDITION_FAILED, where

if TYPE_CHECKING:
    from ..rabbitmq import RabbitmqBroker

log = get_logger("events.rabbitmq")


def mark(calls: Calls, broker: RabbitmqBroker, installation: uuid.UUID) -> None:
    """Leave this installation's marks, unless they are there.

    Raises ClaimError if another installation has left its own: then nothing may be consumed or published. Without the
    right to configure, the marks cannot be compared; that is logged.
    """
    for queue, what, cure in _marks(broker):
        try:
            calls.channel().queue_declare(queue, durable=True, arguments={"x-max-length": _number(installation)})
        except ChannelClosedByBroker as error:
            if error.reply_code == ACCESS_REFUSED:
                log.info("no right to leave the mark of this installation: it is not compared", queue=queue)
                continue
            if error.reply_code != PRECONDITION_FAILED:
                raise
            raise ClaimError(
                f"{where(broker.parameters)}: {what} of another installation, whose database is not this one (mark: "
                f"the queue {queue}). {cure} If it is this installation, whose database was made anew or comes from a "
                "backup of another: manage.py topology adopt"
            ) from None


def remove_marks(calls: Calls, broker: RabbitmqBroker) -> None:
    """Remove the marks, whoever left them."""
    channel = calls.channel()
    for queue, *_ in _marks(broker):
        channel.queue_delete(queue)


def _marks(broker: RabbitmqBroker) -> list[tuple[str, str, str]]:
    """For each mark its queue, what belongs to the other installation, and the cure."""
    name = source()
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    prefix = queue_of("")
    vhost = "Use a vhost for each (MQ_VHOST), or give each"
    return [
        (
            queue_of("installation"),
            f"the queues that begin with {prefix} are those",
            f"Each would take messages of the other. {vhost} its own MQ_QUEUE_PREFIX and EVENTS_SOURCE.",
        ),
        (
            f"{broker.exchange}.source.{digest}",
            f"the source {name} at the exchange {broker.exchange} is that",
            f"Each would take events of the other for its own. {vhost} its own EVENTS_SOURCE and MQ_QUEUE_PREFIX.",
        ),
    ]


def _number(installation: uuid.UUID) -> int:
    """63 bits of the id: RabbitMQ takes no more."""
    return installation.int & (2**63 - 1) or 1
