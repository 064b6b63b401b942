"""Couriers carry the outbox to a broker, one kind for each kind of broker."""

from collections.abc import Callable

from dramatiq.broker import Broker

from events.brokers.contract import Courier
from events.brokers.embedded import EmbeddedBroker
from events.brokers.rabbitmq import RabbitmqBroker
from events.couriers.embedded import EmbeddedCourier
from events.couriers.rabbitmq import RabbitmqCourier


def courier_for(broker: Broker, *, go_on: Callable[[], bool] = lambda: True) -> Courier:
    """A new courier to this broker. Raises TypeError for a broker that carries no events.

    go_on: asked about once a second while a broker keeps the courier waiting; when it says no, the courier gives up.
    """
    match broker:
        case EmbeddedBroker():
            return EmbeddedCourier(broker)
        case RabbitmqBroker():
            return RabbitmqCourier(broker, go_on=go_on)
    raise TypeError(f"{type(broker).__name__} carries no events: set DRAMATIQ_BROKER to a broker of events.brokers")
