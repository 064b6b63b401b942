"""Channel layer: sends messages to groups of sockets, without waiting for the network and without failing with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer
from redis.exceptions import RedisError

from events import tracing
from events.pool import PoolError, get_pool
from notifications import metrics
from notifications.push.pubsub_layer import PubSubLayer
from notifications.push.registry import open_sockets

logger = structlog.get_logger("notifications.push")

#: Seconds after which a batch of hints is given up, and the seconds added for each hint in it.
TIMEOUT, TIMEOUT_PER_HINT = 5.0, 0.01
#: Batches being sent at which new hints are dropped: the layer hangs, and a queue would only grow.
MOST_PENDING = 500
_pending = 0
_tasks: set[asyncio.Task[None]] = set()

#: A group of sockets and the message for it.
Message = tuple[str, dict[str, Any]]


def send(messages: Sequence[Message]) -> None:
    """Send messages to the layer and return at once; what cannot be sent is counted and dropped.

    1. An in-process layer: on the event loop of this process's sockets.
    2. Any other layer: in a slot of the task pool; if the pool is full, in this thread.
    """
    if not messages or not has_listeners():
        return
    if is_local():
        loop = open_sockets.loop
        if loop is not None:
            asyncio.run_coroutine_threadsafe(_send(messages), loop)
        return
    if _pending >= MOST_PENDING:
        metrics.HINTS_LOST.inc(len(messages))
        return
    try:
        get_pool().try_submit(_send, messages)
    except PoolError:
        _send_here(messages)


def is_local() -> bool:
    """Whether the layer ends at this process."""
    return isinstance(get_channel_layer(), InMemoryChannelLayer)


def has_listeners() -> bool:
    """Whether a socket may be open that gets what is sent: with a local layer, one of this process."""
    return get_channel_layer() is not None and not (is_local() and open_sockets.loop is None)


def _send_here(messages: Sequence[Message]) -> None:
    """Send in this thread; on an event loop, which must not be blocked, as a task of it."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        async_to_sync(_send)(messages)
        return
    task = loop.create_task(_send(messages))
    _tasks.add(task)  # a loop keeps no strong reference to its tasks
    task.add_done_callback(_tasks.discard)


async def _send(messages: Sequence[Message]) -> None:
    global _pending
    layer = get_channel_layer()
    _pending += 1
    try:
        async with asyncio.timeout(TIMEOUT + TIMEOUT_PER_HINT * len(messages)):
            with tracing.push(messages) as trace:
                shared = {"sent_at": time.time(), **trace}
                addressed = ((group, message | {"group": group, **shared}) for group, message in messages)
                if isinstance(layer, PubSubLayer):
                    await layer.group_send_many(addressed)
                else:
                    for group, message in addressed:
                        await layer.group_send(group, message)
        metrics.HINTS_SENT.inc(len(messages))
    except (RedisError, OSError, TimeoutError) as error:
        metrics.HINTS_LOST.inc(len(messages))
        logger.warning("hints lost; sockets will ask the database", error=repr(error), hints=len(messages))
    finally:
        _pending -= 1
