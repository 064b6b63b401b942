"""Couriers carry the outbox to a broker, one kind for each kind of broker."""

from collections.abc import Callable

from dramatiq.broker import Broker

from ..brokers.contract import Courier
from ..brokers.embedded import EmbeddedBroker
from ..brokers.hand_over_outbox import EmbeddedCourier
from ..brokers.publish_outbox import RabbitmqCourier
from ..brokers.rabbitmq import RabbitmqBroker


def courier_for(broker: Broker, *, go_on: Callable[[], bool] = lambda: True) -> Courier:
    """A new courier to this broker. Raises TypeError for a broker that carries no events.

    go_on: asked about once a second while a broker keeps the courier waiting; when it says no, the courier gives up.
    """
    match broker:
        case EmbeddedBroker():
            return EmbeddedCourier(broker)
        case RabbitmqBroker():
            return RabbitmqCourier(broker, go_on=go_on)
    raise TypeError(f"{type(broker).__name__} cannot carry events: set DRAMATIQ_BROKER to a broker from events.brokers")
