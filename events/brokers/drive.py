"""Drive: pika's asynchronous connections turn by turn, from the one thread that owns them."""

from __future__ import annotations

import time
from typing import Any

import pika
import structlog
from pika.exceptions import AMQPError

log = structlog.get_logger("events.rabbitmq")

#: What a connection that is gone raises, depending on where it is noticed.
LOST = (AMQPError, AssertionError, OSError)
#: How long a goodbye may take, in seconds.
GOODBYE = 5.0


def start(connection: pika.SelectConnection) -> Any:
    """The loop of a new connection, ready for its first turn."""
    connection.ioloop.activate_poller()
    return connection.ioloop


def turn(loop: Any, *, at_most: float) -> None:
    """Let a loop do what there is to do, and wait for that so many seconds at most.

    `loop.start()` would make a poller each time, and `loop.stop()` wake it through a socket.
    """
    alarm = loop.call_later(at_most, lambda: None)
    loop.poll()
    loop.process_timeouts()
    loop.remove_timeout(alarm)


def end(connection: pika.SelectConnection) -> None:
    """Close a connection, if it still stands, and its loop."""
    try:
        if not (connection.is_closed or connection.is_closing):
            connection.close()
        deadline = time.monotonic() + GOODBYE
        while not connection.is_closed and (left := deadline - time.monotonic()) > 0:
            turn(connection.ioloop, at_most=left)
    except LOST as error:
        log.info("closed without a goodbye", error=repr(error))
    finally:
        connection.ioloop.close()
