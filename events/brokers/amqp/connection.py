"""Connection: pika's asynchronous connections, run step by step by the one thread that owns them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pika
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractStreamProtocol, AbstractStreamTransport
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter
from pika.exceptions import AMQPError

from ...logger import get_logger
from .deliveries import Delivered, DeliveryReader

log = get_logger("events.rabbitmq")

#: What a lost connection raises; which of them depends on where the loss is noticed.
CONNECTION_ERRORS = (AMQPError, AssertionError, OSError)
#: Seconds that the server gets to answer when a connection is closed; then it is cut.
CLOSE_TIMEOUT = 5.0
#: Bytes from which on written frames are sent without waiting for more.
BUFFER_SIZE = 64 * 1024


class BufferedTransport(AbstractStreamTransport):  # type: ignore[misc]
    """A transport that sends many frames with one system call. pika alone makes one system call, and one packet, per
    frame."""

    def __init__(self, transport: AbstractStreamTransport) -> None:
        self._transport = transport
        self._frames: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        self._frames.append(data)
        self._size += len(data)
        if self._size >= BUFFER_SIZE:
            self.send()

    def send(self) -> None:
        """Send the written frames."""
        if self._frames:
            self._transport.write(b"".join(self._frames))
            self._frames.clear()
            self._size = 0

    def get_write_buffer_size(self) -> int:
        return self._size + int(self._transport.get_write_buffer_size())

    def get_protocol(self) -> AbstractStreamProtocol:
        return self._transport.get_protocol()

    def abort(self) -> None:
        self._transport.abort()


class BufferedIO(SelectorIOServicesAdapter):  # type: ignore[misc]
    """pika's I/O services, with a BufferedTransport in place of pika's own, and a DeliveryReader before its protocol.

    counted: is told how many bytes arrived that pika did not see.
    """

    def __init__(self, loop: IOLoop, *, counted: Callable[[int], None]) -> None:
        super().__init__(loop)
        self._counted = counted
        self._buffered: BufferedTransport | None = None
        #: Reads what arrives, once there is a stream.
        self.reader: DeliveryReader | None = None

    def send(self) -> None:
        """Send the written frames."""
        if self._buffered is not None:
            self._buffered.send()

    def abort(self) -> None:
        """Cut the connection to a server that does not answer, in the next step."""
        if self._buffered is not None:
            self._buffered.abort()

    def create_streaming_connection(
        self, protocol_factory: Callable[[], AbstractStreamProtocol], *args: Any, **options: Any
    ) -> Any:
        def factory() -> AbstractStreamProtocol:
            protocol: Any = protocol_factory()
            connection_made = protocol.connection_made
            self.reader = DeliveryReader(protocol.data_received, counted=self._counted)
            protocol.data_received = self.reader.data_received

            def made(transport: AbstractStreamTransport) -> None:
                self._buffered = BufferedTransport(transport)
                connection_made(self._buffered)

            protocol.connection_made = made
            return protocol

        return super().create_streaming_connection(factory, *args, **options)


class ManualConnection(pika.SelectConnection):  # type: ignore[misc]
    """A connection that works only while its owner calls `run_once`. It takes the callbacks of pika's own."""

    def __init__(self, parameters: pika.ConnectionParameters, **callbacks: Any) -> None:
        self._io = BufferedIO(IOLoop(), counted=self._count)
        super().__init__(parameters, custom_ioloop=self._io, **callbacks)
        self.ioloop.activate_poller()

    def run_once(self, *, at_most: float) -> None:
        """Send the written frames, wait for `at_most` seconds until something arrives, and handle it.

        The loop's own `start()` would make a poller each time, and its `stop()` would wake it through a socket.
        """
        self._io.send()
        loop = self.ioloop
        alarm = loop.call_later(at_most, lambda: None)
        loop.poll()
        loop.process_timeouts()
        loop.remove_timeout(alarm)

    def receive(self, channel: int, receiver: Callable[[Delivered], None] | None) -> None:
        """Hand the messages of a channel to a receiver, if they are small, and not to pika; None: to pika again."""
        if (reader := self._io.reader) is not None:
            reader.receivers.pop(channel, None)
            if receiver is not None:
                reader.receivers[channel] = receiver

    def _count(self, received: int) -> None:
        self.bytes_received += received  # by this pika sees that the server lives

    def end(self) -> None:
        """Close the connection, if it is open, and its loop."""
        try:
            if not (self.is_closed or self.is_closing):
                self.close()
            deadline = time.monotonic() + CLOSE_TIMEOUT
            while not self.is_closed and (left := deadline - time.monotonic()) > 0:
                self.run_once(at_most=left)
            if not self.is_closed:
                self._io.abort()
                self.run_once(at_most=0)
        except CONNECTION_ERRORS as error:
            log.info("closed without a goodbye", error=repr(error))
        finally:
            self.ioloop.close()
