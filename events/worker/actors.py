"""Actors: each subscriber as a dramatiq actor on a queue of its own."""

from __future__ import annotations

from dramatiq import Actor
from dramatiq.broker import Broker

from ..brokers.contract import EventBroker
from ..calling import unlimited
from ..inbox.delivery import DeliveryFailedError, NotStartedError, StillRunningError, process
from ..inbox.hold import GivenBackError
from ..inbox.message import ReceivedMessage
from ..inbox.retry import RetryOrDeadLetter
from ..inbox.time_limit import DeliveryTimeLimit
from ..subscription import Subscription
from .busy import running


def declare_actor(broker: Broker, subscription: Subscription) -> None:
    """Declare a subscriber's actor on the broker. A broker that is no EventBroker is left alone."""
    if not isinstance(broker, EventBroker):
        return
    limit = next((one for one in broker.middleware if isinstance(one, DeliveryTimeLimit)), None)
    guard = limit.guard if limit else unlimited
    retry = next((one for one in broker.middleware if isinstance(one, RetryOrDeadLetter)), None)
    ending = retry.ending if retry else None
    share = broker.share.of(subscription)

    def consume(*messages: ReceivedMessage) -> None:
        with running(subscription.name):
            process(subscription, messages, guard=guard, ending=ending, share=share)

    broker.subscribe(subscription)
    Actor(
        consume,
        broker=broker,
        actor_name=subscription.name,
        queue_name=subscription.queue,
        priority=-subscription.priority,
        options={"throws": (DeliveryFailedError, NotStartedError, StillRunningError, GivenBackError)},
    )
