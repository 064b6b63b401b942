"""RabbitMQ: a topic exchange and one durable queue per subscriber."""

from __future__ import annotations

import copy
import os
import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

import pika

from ..finding import Finding
from ..inbox.message import ReceivedMessage
from ..logger import get_logger
from .amqp.calls import Calls, briefly
from .amqp.connection import CONNECTION_ERRORS
from .amqp.consumer import RabbitmqConsumer
from .amqp.consuming import ConsumingConnection
from .amqp.examine import examine
from .amqp.look_through import look_through
from .amqp.marks import mark
from .amqp.publisher import RabbitmqPublisher
from .amqp.questions import Questions, Sizes
from .amqp.queues import RabbitmqTopology, sizes_of
from .amqp.refusals import in_words
from .amqp.take_out import take_out
from .contract import ClaimError, Courier, EventBroker

log = get_logger("events.rabbitmq")

if TYPE_CHECKING:
    from .publish_outbox import CourierMemory

#: Levels of priority of a classic queue.
MAX_PRIORITY = 10


class RabbitmqBroker(EventBroker):
    """Delivers through RabbitMQ. Exchange, queues and messages are durable; nothing expires by itself.

    tls: whether the port speaks TLS. ca_file: the certificate of the authority that the server's certificate is checked
    by; by default those of the system. api_url: the management API, which tells an operator more of the queues.
    """

    #: RabbitMQ's consumer_timeout is 30 minutes unless it is set.
    longest_run = 25 * 60_000
    messaging_system = "rabbitmq"

    def __init__(
        self,
        *,
        host: str = "localhost",
        port: int = 5672,
        user: str = "guest",
        password: str = "guest",
        vhost: str = "/",
        tls: bool = False,
        ca_file: str = "",
        api_url: str = "",
        exchange: str = "airy.events",
        queue_type: str = "classic",
        heartbeat: int = 30,
        middleware: list[Any] | None = None,
    ) -> None:
        super().__init__(middleware=middleware)
        self.exchange = exchange
        self.api_url = api_url
        self.queue_type = queue_type
        self.parameters = pika.ConnectionParameters(
            host=host,
            port=port,
            virtual_host=vhost,
            credentials=pika.PlainCredentials(user, password),
            heartbeat=heartbeat,
            blocked_connection_timeout=None,
            socket_timeout=5,
            stack_timeout=10,
            client_properties={"connection_name": "airy"},
            ssl_options=_trusting(ca_file, host=host) if tls else None,
        )
        self._questions = Questions()
        self._memory: CourierMemory | None = None
        self._lock = threading.Lock()
        #: Known once it was claimed.
        self._installation: uuid.UUID | None = None
        self._consuming: ConsumingConnection | None = None
        self.topology = RabbitmqTopology(self)

    @property
    def queue_arguments(self) -> dict[str, Any]:
        """The arguments every queue is declared with. Quorum queues have no priorities before RabbitMQ 4.3."""
        return {"x-queue-type": "quorum"} if self.queue_type == "quorum" else {"x-max-priority": MAX_PRIORITY}

    def parameters_for(self, role: str) -> pika.ConnectionParameters:
        """The parameters of a connection whose name says the role, the host and the process."""
        parameters = copy.copy(self.parameters)
        parameters.client_properties = {"connection_name": f"airy {role} {socket.gethostname()}:{os.getpid()}"}
        return parameters

    def claim(self, installation: uuid.UUID) -> None:
        self._installation = installation
        parameters = self.parameters_for("start")
        try:
            with briefly(parameters) as calls:
                self.mark(calls)
        except ClaimError:
            raise
        except CONNECTION_ERRORS as error:
            log.warning("RabbitMQ was not asked whose it is; that follows", error=in_words(error, parameters))

    def mark(self, calls: Calls) -> None:
        """Compare the server's marks with the claimed installation, on each new connection. Raises ClaimError."""
        if self._installation is not None:
            mark(calls, self, self._installation)

    def courier(self, go_on: Callable[[], bool] = lambda: True) -> Courier:
        from .amqp.courier import AnsweringCourier  # Django makes the broker before it has models.
        from .publish_outbox import CourierMemory

        self._memory = self._memory or CourierMemory()

        publisher = RabbitmqPublisher(self, go_on=go_on)
        return AnsweringCourier(publisher, questions=self._questions, go_on=go_on, memory=self._memory)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> RabbitmqConsumer:
        subscription = self.subscriptions[queue_name]
        while (link := self._consuming_connection().add(subscription, prefetch=prefetch)) is None:
            pass  # that one has just ended with its last queue
        return RabbitmqConsumer(self, subscription, link=link, timeout=timeout / 1000)

    def _consuming_connection(self) -> ConsumingConnection:
        with self._lock:
            if self._consuming is None or self._consuming.ended:
                self._consuming = ConsumingConnection(self)
            return self._consuming

    def idle(self, queues: Iterable[str]) -> set[str]:
        """The queues without a ready message, and those that do not exist. AMQP does not report messages that a worker
        holds without an acknowledgement."""
        sizes = self._questions.ask(queues) if self._questions.are_answered else self._ask_directly(queues)
        return {queue for queue, size in sizes.items() if size is None or not size.messages}

    def take_out(self, queue: str, ids: Collection[uuid.UUID], *, owe: Callable[[list[ReceivedMessage]], None]) -> bool:
        parameters = self.parameters_for("sweep")
        try:
            with briefly(parameters) as calls:
                return take_out(calls, queue, ids, owe=owe)
        except CONNECTION_ERRORS as error:
            raise ConnectionError(in_words(error, parameters)) from error

    def look_through(self, queue: str, *, see: Callable[[ReceivedMessage, str], None]) -> int:
        parameters = self.parameters_for("restored")
        try:
            with briefly(parameters) as calls:
                return look_through(calls, queue, see=see)
        except CONNECTION_ERRORS as error:
            raise ConnectionError(in_words(error, parameters)) from error

    def examine(self) -> Iterable[Finding]:
        return examine(self)

    def _ask_directly(self, queues: Iterable[str]) -> Sizes:
        parameters = self.parameters_for("reconcile")
        try:
            with briefly(parameters) as calls:
                return sizes_of(calls, queues)
        except CONNECTION_ERRORS as error:
            raise ConnectionError(in_words(error, parameters)) from error


def _trusting(ca_file: str, *, host: str) -> pika.SSLOptions:
    return pika.SSLOptions(ssl.create_default_context(cafile=ca_file or None), server_hostname=host)
