"""Couriers carry the outbox to a broker, one kind for each kind of broker."""

from dramatiq.broker import Broker

from events.brokers.contract import Courier
from events.brokers.embedded import EmbeddedBroker
from events.brokers.rabbitmq import RabbitmqBroker
from events.couriers.embedded import EmbeddedCourier
from events.couriers.rabbitmq import RabbitmqCourier


def courier_for(broker: Broker) -> Courier:
    """A new courier to this broker. Raises TypeError for a broker that carries no events."""
    match broker:
        case EmbeddedBroker():
            return EmbeddedCourier(broker)
        case RabbitmqBroker():
            return RabbitmqCourier(broker)
    raise TypeError(f"{type(broker).__name__} carries no events: set DRAMATIQ_BROKER to a broker of events.brokers")
