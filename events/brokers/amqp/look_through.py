"""Look through: every message that waits in a queue is seen, and stays in it.

They are taken without an acknowledgement, and go back to their places when the channel closes. From then on they are
marked as redelivered, so each runs alone.
"""

from __future__ import annotations

from collections.abc import Callable

from ...inbox.message import ReceivedMessage
from .calls import Calls
from .take_out import Waiting, waiting_in


def look_through(calls: Calls, queue: str, *, see: Callable[[ReceivedMessage, str], None]) -> int:
    """As EventBroker.look_through. Raises one of CONNECTION_ERRORS."""
    channel = calls.channel()
    if (count := waiting_in(channel, queue)) is None:
        return 0
    seen = 0
    while seen < count and (got := channel.basic_get(queue)) is not None:
        message = Waiting(*got)
        see(message.received(queue), message.method.routing_key)
        seen += 1
    channel.close()
    return seen
