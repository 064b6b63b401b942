"""Limits: what a connection has learned about messages that the server does not take, and the words for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pika.exceptions import ChannelClosedByBroker

from ..contract import Outgoing
from .refusals import ACCESS_REFUSED, PRECONDITION_FAILED

if TYPE_CHECKING:
    from ..rabbitmq import RabbitmqBroker


class Right(NamedTuple):
    """The right to publish to an exchange: with one routing key, or, if it is blank, with any."""

    exchange: str
    key: str


class Limits:
    """Learns from channels that the server has closed because of one message."""

    def __init__(self, broker: RabbitmqBroker) -> None:
        self._broker = broker
        #: The smallest size that was refused.
        self._too_large: int | None = None
        #: The rights that are missing, each with the reason.
        self.rights: dict[Right, str] = {}

    def too_large(self, message: Outgoing) -> str:
        """Why a message needs not be tried: it is as large as one that was refused. Blank: it may be tried."""
        if self._too_large is None or len(message.body) < self._too_large:
            return ""
        return _TOO_LARGE.format(size=len(message.body), words="as one before it")

    def right_missing(self, message: Outgoing) -> Right | None:
        """The missing right that this message needs."""
        if not self.rights:
            return None
        exchange = exchange_of(message, self._broker)
        return next(
            (one for one in (Right(exchange, ""), Right(exchange, key_of(message))) if one in self.rights), None
        )

    def taken(self, message: Outgoing) -> None:
        """Note that a message was taken: its right is not missing any more."""
        if missing := self.right_missing(message):
            del self.rights[missing]

    def learn(self, message: Outgoing, error: ChannelClosedByBroker) -> str:
        """Note that the server has closed the channel because of a message; returns why, with the cure."""
        if error.reply_code == PRECONDITION_FAILED and "size" in error.reply_text:
            self._too_large = min(self._too_large or len(message.body), len(message.body))
            return _TOO_LARGE.format(size=len(message.body), words=error.reply_text)
        exchange, key = exchange_of(message, self._broker), key_of(message)
        where = f"exchange {exchange}" if exchange else "the default exchange"
        why = f"not taken by {where} with routing key {key}: {error.reply_text}"
        if error.reply_code == ACCESS_REFUSED:
            user = self._broker.parameters.credentials.username
            why = (
                f"MQ_USER {user} may not write to {where} with routing key {key} ({error.reply_text}). Give the right "
                "to write with rabbitmqctl set_permissions or set_topic_permissions. For a single queue it is the "
                "right to write to amq.default"
            )
            if "topic" not in error.reply_text:
                key = ""
        self.rights[Right(exchange, key)] = why
        return why


_TOO_LARGE = (
    "a message of {size:,} bytes is too large for RabbitMQ ({words}). Raise max_message_size in rabbitmq.conf and "
    "restart it, or emit a key in place of the data"
)


def exchange_of(message: Outgoing, broker: RabbitmqBroker) -> str:
    """The exchange that a message is published to; blank: the default one, which leads to single queues."""
    return "" if message.queue else broker.exchange


def key_of(message: Outgoing) -> str:
    """The routing key of a message."""
    return message.queue or message.topic
