"""Consumer: one queue's messages for as long as the worker runs, over as many connections as that takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import structlog
from dramatiq.broker import MessageProxy
from dramatiq.common import compute_backoff

from ...subscription import Subscription
from ..contract import ArrivalMessage, EventBroker, EventConsumer
from .channel import Session
from .connection import LOST

log = structlog.get_logger("events.rabbitmq")

#: The first and the longest pause before connecting again, in milliseconds.
BACKOFF = (500, 15_000)
#: How often a consumer without a connection looks whether the worker has ended, in seconds.
STOPPING_POLL = 0.1


class RabbitmqConsumer(EventConsumer):
    """Hands out messages, and connects again by itself: dramatiq would wait a fixed time and cry each time."""

    def __init__(
        self, broker: EventBroker, subscription: Subscription, *, connect: Callable[[], Session], timeout: float
    ) -> None:
        super().__init__(broker)
        self._subscription = subscription
        self._connect = connect
        self._timeout = timeout
        self._session: Session | None = None
        self._failures = 0
        self._connect_at = 0.0

    def __next__(self) -> MessageProxy | None:
        may_take = self._may_take()
        try:
            session = self._session or self._open()
            if session is None:
                return None
            if not may_take:
                session.stop_consuming()
            arrivals = session.take(timeout=self._timeout)
        except LOST as error:
            self._lose(error)
            return None
        if session.is_open:
            self._failures = 0
        return ArrivalMessage(arrivals, subscription=self._subscription, origin=session) if arrivals else None

    def _open(self) -> Session | None:
        """A new session, or None while it is too early for one: the thread must hear in time that it is to end."""
        wait = self._connect_at - time.monotonic()
        if self._broker.stopping.wait(min(max(0.0, wait), self._timeout)):
            time.sleep(STOPPING_POLL)
            return None
        if wait > self._timeout:
            return None
        self._session = self._connect()
        return self._session

    def _lose(self, error: BaseException) -> None:
        self.close()
        self._failures, pause = compute_backoff(self._failures, factor=BACKOFF[0], max_backoff=BACKOFF[1])
        self._connect_at = time.monotonic() + pause / 1000
        log.warning(
            "no connection to RabbitMQ", queue=self._subscription.queue, error=repr(error), again_in=pause / 1000
        )

    def ack(self, message: ArrivalMessage) -> None:  # type: ignore[override]
        message.origin.settle(message, done=True)

    def nack(self, message: ArrivalMessage) -> None:  # type: ignore[override]
        message.origin.settle(message, done=False)

    def requeue(self, messages: Iterable[ArrivalMessage]) -> None:  # type: ignore[override]
        for message in messages:
            message.origin.settle(message, done=False, pause=0)

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
