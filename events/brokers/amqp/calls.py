"""Calls: methods of AMQP channels that wait for the broker's answer, on a connection that the calling thread runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pika

from .connection import CONNECTION_ERRORS, ManualConnection

#: Seconds that the broker gets for one answer.
CALL_TIMEOUT = 15.0
#: Seconds between two questions whether to go on.
GO_ON_INTERVAL = 1.0


def opened(parameters: pika.ConnectionParameters, **callbacks: Any) -> ManualConnection:
    """A new connection, once it is open. Raises one of CONNECTION_ERRORS."""
    errors: list[BaseException] = []
    connection = ManualConnection(
        parameters, on_open_error_callback=lambda connection, error: errors.append(error), **callbacks
    )
    deadline = time.monotonic() + CALL_TIMEOUT
    try:
        while not connection.is_open:
            if errors:
                error = errors[0]
                raise error if isinstance(error, CONNECTION_ERRORS) else ConnectionError(repr(error)) from error
            if connection.is_closed or time.monotonic() > deadline:
                raise ConnectionError("RabbitMQ: timed out while connecting")
            connection.run_once(at_most=0.2)
    except BaseException:
        connection.end()
        raise
    return connection


@contextmanager
def briefly(parameters: pika.ConnectionParameters) -> Iterator[Calls]:
    """A connection for a few calls."""
    connection = opened(parameters)
    try:
        yield Calls(connection)
    finally:
        connection.end()


class Calls:
    """An open connection, for calls. While a call waits, everything else that arrives on the connection is handled,
    too.

    go_on: asked about once a second while a call waits; False ends it with a ConnectionError.
    """

    def __init__(
        self, connection: ManualConnection, *, timeout: float = CALL_TIMEOUT, go_on: Callable[[], bool] = lambda: True
    ) -> None:
        self._connection = connection
        self._timeout = timeout
        self._go_on = go_on

    @property
    def server_properties(self) -> dict[str, Any]:
        """What the server says about itself."""
        return self._connection.server_properties or {}

    def channel(self) -> CallChannel:
        """A new channel. Raises one of CONNECTION_ERRORS."""
        return CallChannel(self)

    def wait(self, reached: Callable[[], bool], *, what: str, failed: Callable[[], BaseException | None]) -> None:
        """Run the connection until a condition holds. Raises what `failed` returns, or ConnectionError."""
        asked = time.monotonic()
        deadline = asked + self._timeout
        while not reached():
            if error := failed():
                raise error
            if self._connection.is_closed:
                raise ConnectionError("RabbitMQ: the connection was lost")
            if (now := time.monotonic()) >= deadline:
                raise ConnectionError(f"RabbitMQ: no answer to {what}: timed out after {self._timeout:g} s")
            if now >= asked + GO_ON_INTERVAL:
                asked = now
                if not self._go_on():
                    raise ConnectionError("given up")
            self._connection.run_once(at_most=min(GO_ON_INTERVAL, deadline - now))

    def open_raw(self, on_close: Callable[[Any, BaseException], None]) -> Any:
        """pika's channel, once it is open."""
        channels: list[Any] = []
        errors: list[BaseException] = []
        raw = self._connection.channel(on_open_callback=channels.append)
        raw.add_on_close_callback(lambda channel, error: errors.append(error))
        raw.add_on_close_callback(on_close)
        self.wait(lambda: bool(channels), what="channel.open", failed=lambda: errors[0] if errors else None)
        return raw


class CallChannel:
    """A channel. Each method has the arguments of pika's, waits for the answer and returns it.

    Raises ChannelClosedByBroker when the broker refuses, else one of CONNECTION_ERRORS.
    """

    def __init__(self, calls: Calls) -> None:
        self.connection = calls
        self._error: BaseException | None = None
        #: pika's channel.
        self.raw = calls.open_raw(self._on_close)

    @property
    def is_open(self) -> bool:
        return bool(self.raw.is_open)

    def exchange_declare(self, exchange: str, **options: Any) -> Any:
        return self._call("exchange_declare", exchange, **options)

    def queue_declare(self, queue: str, **options: Any) -> Any:
        return self._call("queue_declare", queue, **options)

    def queue_bind(self, queue: str, exchange: str, routing_key: str) -> Any:
        return self._call("queue_bind", queue, exchange, routing_key)

    def queue_unbind(self, queue: str, exchange: str, routing_key: str) -> Any:
        return self._call("queue_unbind", queue, exchange, routing_key)

    def queue_delete(self, queue: str, **options: Any) -> Any:
        return self._call("queue_delete", queue, **options)

    def basic_get(self, queue: str) -> tuple[Any, Any, bytes] | None:
        """The next message: its method, properties and body; None of an empty queue."""
        answers: list[tuple[Any, Any, bytes] | None] = []
        self.raw.callbacks.add(
            self.raw.channel_number, pika.spec.Basic.GetEmpty, lambda frame: answers.append(None), one_shot=True
        )
        self.raw.basic_get(queue, lambda raw, method, properties, body: answers.append((method, properties, body)))
        self.connection.wait(lambda: bool(answers), what="basic_get", failed=lambda: self._error)
        return answers[0]

    @property
    def error(self) -> BaseException | None:
        """What closed the channel."""
        return self._error

    def basic_qos(self, *, prefetch_count: int) -> Any:
        return self._call("basic_qos", prefetch_count=prefetch_count)

    def basic_consume(self, queue: str, on_message: Callable[..., None], **options: Any) -> Any:
        return self._call("basic_consume", queue, on_message, **options)

    def confirm_delivery(self, on_confirm: Callable[[Any], None]) -> Any:
        return self._call("confirm_delivery", on_confirm)

    def close(self) -> None:
        """Close the channel, without waiting."""
        if self.raw.is_open:
            self.raw.close()

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        if self._error is not None:
            raise self._error
        answers: list[Any] = []
        getattr(self.raw, method)(*arguments, callback=answers.append, **options)
        self.connection.wait(lambda: bool(answers), what=method, failed=lambda: self._error)
        return answers[0]

    def _on_close(self, channel: Any, error: BaseException) -> None:
        self._error = error
