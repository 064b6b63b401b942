"""Drive: pika's asynchronous connections turn by turn, from the one thread that owns them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pika
import structlog
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractStreamProtocol, AbstractStreamTransport
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter
from pika.exceptions import AMQPError

log = structlog.get_logger("events.rabbitmq")

#: What a connection that is gone raises, depending on where it is noticed.
LOST = (AMQPError, AssertionError, OSError)
#: How long a goodbye may take, in seconds.
GOODBYE = 5.0
#: So much leaves without waiting for more, in bytes.
PARCEL = 64 * 1024


class Parcels(AbstractStreamTransport):
    """A transport that sends in one go what would be a packet, and a call of the system, for each frame."""

    def __init__(self, transport: AbstractStreamTransport) -> None:
        self._transport = transport
        self._frames: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        self._frames.append(data)
        self._size += len(data)
        if self._size >= PARCEL:
            self.send()

    def send(self) -> None:
        """Hand over what was gathered."""
        if self._frames:
            self._transport.write(b"".join(self._frames))
            self._frames.clear()
            self._size = 0

    def get_write_buffer_size(self) -> int:
        return self._size + self._transport.get_write_buffer_size()

    def get_protocol(self) -> AbstractStreamProtocol:
        return self._transport.get_protocol()

    def abort(self) -> None:
        self._transport.abort()


class ParcelServices(SelectorIOServicesAdapter):
    """What pika does its I/O with; it is told of parcels in place of its transport."""

    def __init__(self, loop: IOLoop) -> None:
        super().__init__(loop)
        self._parcels: Parcels | None = None

    def send(self) -> None:
        """Send what was written."""
        if self._parcels is not None:
            self._parcels.send()

    def abort(self) -> None:
        """Hang up on a server that does not answer, in the next turn."""
        if self._parcels is not None:
            self._parcels.abort()

    def create_streaming_connection(
        self, protocol_factory: Callable[[], AbstractStreamProtocol], *args: Any, **options: Any
    ) -> Any:
        def factory() -> AbstractStreamProtocol:
            protocol: Any = protocol_factory()
            connection_made = protocol.connection_made

            def made(transport: AbstractStreamTransport) -> None:
                self._parcels = Parcels(transport)
                connection_made(self._parcels)

            protocol.connection_made = made
            return protocol

        return super().create_streaming_connection(factory, *args, **options)


class DrivenConnection(pika.SelectConnection):
    """A connection that works in its owner's turns alone; it takes the callbacks that pika's own takes."""

    def __init__(self, parameters: pika.ConnectionParameters, **callbacks: Any) -> None:
        self._services = ParcelServices(IOLoop())
        super().__init__(parameters, custom_ioloop=self._services, **callbacks)
        self.ioloop.activate_poller()

    def turn(self, *, at_most: float) -> None:
        """Send what was written, do what there is to do, and wait for that so many seconds at most.

        The loop's own `start()` would make a poller each time, and its `stop()` wake it through a socket.
        """
        self._services.send()
        loop = self.ioloop
        alarm = loop.call_later(at_most, lambda: None)
        loop.poll()
        loop.process_timeouts()
        loop.remove_timeout(alarm)

    def end(self) -> None:
        """Close the connection, if it still stands, and its loop."""
        try:
            if not (self.is_closed or self.is_closing):
                self.close()
            deadline = time.monotonic() + GOODBYE
            while not self.is_closed and (left := deadline - time.monotonic()) > 0:
                self.turn(at_most=left)
            if not self.is_closed:
                self._services.abort()
                self.turn(at_most=0)
        except LOST as error:
            log.info("closed without a goodbye", error=repr(error))
        finally:
            self.ioloop.close()
