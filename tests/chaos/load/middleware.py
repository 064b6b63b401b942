"""CrashPointsAndCounts: dramatiq middleware that counts what arrives, with crash points around the acknowledgement."""

from __future__ import annotations

from typing import Any

from dramatiq.broker import Broker
from dramatiq.middleware import Middleware

from tests.chaos.load.crash_points import count_up, crash_if_set


class CrashPointsAndCounts(Middleware):
    def before_process_message(self, broker: Broker, message: Any) -> None:
        """Count deliveries, and those that the broker marks as made before."""
        count_up("arrivals", len(message.messages))
        count_up("redelivered", sum(arrival.redelivered for arrival in message.messages))

    def before_ack(self, broker: Broker, message: Any) -> None:
        crash_if_set("before the ack")

    def after_ack(self, broker: Broker, message: Any) -> None:
        crash_if_set("after the ack")

    def before_nack(self, broker: Broker, message: Any) -> None:
        crash_if_set("before the message is given back")
