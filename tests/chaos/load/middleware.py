"""TrapsAndTally: dramatiq middleware that counts what arrives and dies around the acknowledgement when told to."""

from __future__ import annotations

from typing import Any

from dramatiq.broker import Broker
from dramatiq.middleware import Middleware

from tests.chaos.load.traps import die_if, note


class TrapsAndTally(Middleware):
    def before_process_message(self, broker: Broker, message: Any) -> None:
        """Count deliveries, and those that the broker marks as made before."""
        note("arrivals", len(message.messages))
        note("redelivered", sum(arrival.redelivered for arrival in message.messages))

    def before_ack(self, broker: Broker, message: Any) -> None:
        die_if("before the ack")

    def after_ack(self, broker: Broker, message: Any) -> None:
        die_if("after the ack")

    def before_nack(self, broker: Broker, message: Any) -> None:
        die_if("before the message is given back")
