"""Actors: each subscriber as a dramatiq actor on a queue of its own."""

from __future__ import annotations

from dramatiq import Actor
from dramatiq.broker import Broker

from ..brokers.contract import EventBroker
from ..inbox.delivery import DeliveryFailedError, StillRunningError, process, unlimited
from ..inbox.message import ReceivedMessage
from ..inbox.time_limit import DeliveryTimeLimit
from ..subscription import Subscription
from .busy import running


def declare_actor(broker: Broker, subscription: Subscription) -> None:
    """Declare a subscriber's actor on the broker. A broker that is no EventBroker is left alone."""
    if not isinstance(broker, EventBroker):
        return
    limit = next((one for one in broker.middleware if isinstance(one, DeliveryTimeLimit)), None)
    guard = limit.guard if limit else unlimited

    def consume(*messages: ReceivedMessage) -> None:
        with running(subscription.name):
            process(subscription, messages, guard=guard)

    broker.subscribe(subscription)
    Actor(
        consume,
        broker=broker,
        actor_name=subscription.name,
        queue_name=subscription.queue,
        priority=-subscription.priority,
        options={"throws": (DeliveryFailedError, StillRunningError)},
    )
