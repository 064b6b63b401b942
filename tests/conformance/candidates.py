"""Candidates: the brokers under test. One more broker is one more entry of CANDIDATES."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pika
import pytest
from django.conf import settings
from django.db import connection

from events.brokers.contract import EventBroker
from events.brokers.embedded import EmbeddedBroker
from events.brokers.rabbitmq import RabbitmqBroker
from tests.conformance.directory_broker import DirectoryBroker
from tests.conformance.features import Features
from tests.conformance.rabbitmq import Server, rabbitmqctl

#: AMQP's code for what is not there.
QUEUE_MISSING = 404


class Candidate(ABC):
    """A kind of broker. A namespace is a name that keeps one case's messages from another's."""

    name: str
    features: Features
    #: What a run must have for this candidate.
    needs: tuple[pytest.MarkDecorator, ...] = ()
    #: The fixture that makes its server or the candidate's place there.
    server: str | None = None

    @property
    def title(self) -> str:
        """What stands over its column of the results."""
        return self.name

    def use(self, server: Any) -> None:  # noqa: B027 - most have none
        """Take what its fixture gives."""

    @abstractmethod
    def broker(self, namespace: str) -> EventBroker:
        """A new broker object, as each worker process has one."""

    @abstractmethod
    def environment(self, namespace: str) -> dict[str, str]:
        """What makes the settings of a worker process choose this broker."""

    @abstractmethod
    def clean(self, namespace: str, queues: Iterable[str]) -> None:
        """Remove what a case left at a server."""


class Embedded(Candidate):
    """Queues within the process, fed from the outbox of whatever database this run has."""

    name = "embedded"
    features = Features(
        persistent=True,
        competing=False,  # the process that holds the relay's seat does the work
        ordered=True,
        priorities=True,
        ahead=10,
        foreign=False,
        server=False,
    )

    @property
    def title(self) -> str:
        return f"embedded, {'PostgreSQL' if connection.vendor == 'postgresql' else 'SQLite'}"

    def broker(self, namespace: str) -> EventBroker:
        return EmbeddedBroker()

    def environment(self, namespace: str) -> dict[str, str]:
        return {"AIRY_BROKER": "embedded"}

    def clean(self, namespace: str, queues: Iterable[str]) -> None:
        """Nothing outlives the case."""


class Directory(Candidate):
    """The broker of your own: a directory of files, for several processes."""

    name = "directory"
    #: It is alike on every database.
    needs = (pytest.mark.home,)
    features = Features(
        persistent=True, competing=True, ordered=True, priorities=True, ahead=10, foreign=False, server=False
    )

    def broker(self, place: str) -> DirectoryBroker:
        return DirectoryBroker(root=self._root(place))

    def environment(self, place: str) -> dict[str, str]:
        return {"AIRY_TEST_DIRECTORY": self._root(place)}

    def clean(self, place: str, queues: Iterable[str]) -> None:
        shutil.rmtree(self._root(place), ignore_errors=True)

    def _root(self, place: str) -> str:
        return f"{tempfile.gettempdir()}/airy-{place}"


class Rabbitmq(Candidate):
    """One type of RabbitMQ's queues, on this run's own vhost; a namespace is an exchange."""

    needs = (pytest.mark.rabbitmq, pytest.mark.postgres)
    server = "vhost"

    def __init__(self, queue_type: str, *, features: Features) -> None:
        self.name = self.queue_type = queue_type
        self.features = features

    @property
    def place(self) -> dict[str, Any]:
        """The broker's options that say where the server is."""
        return {"vhost": settings.MQ_VHOST}

    def control(self, *arguments: str) -> str:
        """`rabbitmqctl` at that server."""
        return rabbitmqctl(*arguments)

    @property
    def title(self) -> str:
        return f"RabbitMQ {self.name}"

    def broker(self, namespace: str) -> RabbitmqBroker:
        return RabbitmqBroker(
            **{
                **dict(settings.DRAMATIQ_BROKER["OPTIONS"]),
                **self.place,
                "exchange": namespace,
                "queue_type": self.queue_type,
            }
        )

    def environment(self, namespace: str) -> dict[str, str]:
        return {f"MQ_{name.upper()}": str(value) for name, value in self.place.items()} | {
            "AIRY_BROKER": "rabbitmq",
            "MQ_QUEUE_TYPE": self.queue_type,
            "MQ_EXCHANGE": namespace,
            "MQ_QUEUE_PREFIX": f"{namespace}.",
        }

    def clean(self, namespace: str, queues: Iterable[str]) -> None:
        with closing(self.connect(namespace)) as server:
            channel = server.channel()
            for queue in queues:
                channel.queue_delete(queue)
            channel.exchange_delete(namespace)

    def connect(self, namespace: str) -> Any:
        """A connection of another program."""
        return pika.BlockingConnection(self.broker(namespace).parameters)

    def publish(self, namespace: str, topic: str, body: bytes) -> None:
        """Publish bytes past the outbox, as another program would."""
        with closing(self.connect(namespace)) as server:
            server.channel().basic_publish(namespace, topic, body)

    def delete_queue(self, namespace: str, queue: str) -> None:
        """Take a queue away under its workers."""
        with closing(self.connect(namespace)) as server:
            server.channel().queue_delete(queue)

    def waiting(self, namespace: str, queue: str) -> int:
        """How many messages wait in a queue, those out at workers not counted; none before a worker declared it."""
        with closing(self.connect(namespace)) as server:
            try:
                return server.channel().queue_declare(queue, passive=True).method.message_count
            except pika.exceptions.ChannelClosedByBroker as closed:
                if closed.reply_code == QUEUE_MISSING:
                    return 0
                raise

    def break_connections(self) -> None:
        """Close every connection, the server's side."""
        self.control("close_all_connections", "--vhost", self.place["vhost"], "a test")

    def refuse_more_than(self, waiting: int, *, queue: str) -> None:
        """Let a queue refuse what exceeds a number of waiting messages."""
        definition = f'{{"max-length":{waiting},"overflow":"reject-publish"}}'
        at = ("-p", self.place["vhost"], "--apply-to", "queues")
        self.control("set_policy", *at, "refusing", f"^{queue}$", definition)

    def refuse_nothing(self) -> None:
        """Take that back."""
        self.control("clear_policy", "-p", self.place["vhost"], "refusing")


class Rabbitmq4(Rabbitmq):
    """One type of queues of RabbitMQ 4, on a server that the run starts for itself."""

    needs = (*Rabbitmq.needs, pytest.mark.slow, pytest.mark.timeout(1800))
    server = "rabbitmq4"

    def __init__(self, queue_type: str, *, features: Features) -> None:
        super().__init__(queue_type, features=features)
        self.name = f"rabbitmq4_{queue_type}"
        self._server: Server | None = None

    @property
    def title(self) -> str:
        return f"RabbitMQ 4 {self.queue_type}"

    def use(self, server: Server) -> None:
        self._server = server

    @property
    def place(self) -> dict[str, Any]:
        assert self._server is not None
        return {"host": "127.0.0.1", "port": self._server.port, "user": "guest", "password": "guest", "vhost": "/"}

    def control(self, *arguments: str) -> str:
        assert self._server is not None
        return self._server.control(*arguments)


#: What the two types of RabbitMQ's queues promise.
CLASSIC = Features(persistent=True, competing=True, ordered=True, priorities=True, ahead=10, foreign=True, server=True)
QUORUM = replace(CLASSIC, priorities=False)  # RabbitMQ has none there before 4.3

CANDIDATES: tuple[Candidate, ...] = (
    Embedded(),
    Directory(),
    Rabbitmq("classic", features=CLASSIC),
    Rabbitmq("quorum", features=QUORUM),
    Rabbitmq4("classic", features=CLASSIC),
    Rabbitmq4("quorum", features=QUORUM),
)
