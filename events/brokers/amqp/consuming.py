"""Consuming: the one connection through which a worker process receives, run by one thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dramatiq.common import compute_backoff

from ...inbox.message import ReceivedMessage
from ...logger import get_logger
from ...subscription import Subscription
from ..contract import RECONNECT_BACKOFF
from ..relayed import reached
from .calls import Calls, opened
from .channel import ConsumerChannel, Outcome
from .connection import CLOSE_TIMEOUT, CONNECTION_ERRORS, ManualConnection
from .declare import declare
from .hand_back import HandBack
from .intake import Intake
from .prefetch import HELD_BYTES, PrefetchWindow, prefetch_for
from .refusals import in_words

if TYPE_CHECKING:
    from ..rabbitmq import RabbitmqBroker

log = get_logger("events.rabbitmq")

#: Seconds of the longest sleep of the connection's thread.
IDLE = 1.0
#: Seconds between two looks whether a channel that consumes no more is settled.
RESUME_POLL = 0.05
#: Seconds of a step while a task waits for the next one.
TASK_POLL = 0.005
#: Seconds after which a loss is no longer counted as one more failure in a row.
SETTLED = RECONNECT_BACKOFF[1] / 1000
#: Seconds that what is handed back gets for its confirms when a queue is closed.
HAND_BACK_TIMEOUT = 5.0


class Backoff:
    """When to try again after one more failure: the pause doubles, and has jitter."""

    def __init__(self) -> None:
        self._failures = 0
        self._since = 0.0
        #: The monotonic time of the next try.
        self.at = 0.0

    def opened(self) -> None:
        """A try succeeded."""
        self._since = time.monotonic()

    def failed(self) -> float:
        """One more failure; returns the pause in seconds."""
        now = time.monotonic()
        if self._since and now - self._since > SETTLED:
            self._failures = 0
        self._since = 0.0
        self._failures, pause = compute_backoff(
            self._failures, factor=RECONNECT_BACKOFF[0], max_backoff=RECONNECT_BACKOFF[1]
        )
        self.at = now + pause / 1000
        return float(pause / 1000)


class QueueLink:
    """One subscriber's queue at the connection: its intake, and one channel after another."""

    def __init__(self, connection: ConsumingConnection, subscription: Subscription, *, prefetch: int) -> None:
        self._connection = connection
        self.subscription = subscription
        self.prefetch = prefetch
        self.intake = Intake()
        self.channel: ConsumerChannel | None = None
        self.backoff = Backoff()
        self.stopped = False
        self.paused = False

    def stop(self) -> None:
        """Take no more, and hand back what nobody took. For any thread."""
        if not self.stopped:
            self.stopped = True
            self._connection.post(self._stop)

    def pause(self, paused: bool) -> None:
        """Take no more, and hand back what nobody took; or take again. The others of the process go on. For any
        thread."""
        if paused != self.paused:
            self.paused = paused
            self._connection.post(self._stop if paused else self._begin_again)

    def close(self) -> None:
        """Settle what has its outcome, and let go of the queue. For any thread; returns when it is done."""
        self._connection.remove(self)

    def _stop(self) -> None:
        if self.channel is not None:
            self.channel.stop_consuming()

    def _begin_again(self) -> None:
        """Let go of a channel that consumes no more, once all that it delivered is settled; the next one consumes."""
        channel = self.channel
        if self.paused or self.stopped or channel is None or channel.is_consuming:
            return
        if self._connection.has_unsettled(channel):
            self._connection.later(RESUME_POLL, self._begin_again)
            return
        channel.close()
        self.channel = None


class ConsumingConnection:
    """One connection with a channel for each subscriber. It opens by itself, and again after a loss, with one backoff
    for all; a channel that RabbitMQ closes opens again with a backoff of its own.

    Its thread begins with the first queue and ends with the last one.
    """

    def __init__(self, broker: RabbitmqBroker) -> None:
        self._broker = broker
        self._lock = threading.Lock()
        self._links: list[QueueLink] = []
        self._tasks: deque[Callable[[], None]] = deque()
        self._outcomes: deque[Outcome] = deque()
        #: Whether the thread has been woken for outcomes or tasks that it has not seen yet.
        self._woken = False
        self._wake_up = threading.Event()
        self._connection: ManualConnection | None = None
        self._backoff = Backoff()
        self._hand_back = HandBack()
        self._thread: threading.Thread | None = None
        self.ended = False
        #: The channels to which messages came since they were last announced.
        self.touched: set[ConsumerChannel] = set()

    def add(self, subscription: Subscription, *, prefetch: int) -> QueueLink | None:
        """Consume a queue, too; None if the connection has ended."""
        with self._lock:
            if self.ended:
                return None
            link = QueueLink(self, subscription, prefetch=prefetch)
            self._links.append(link)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rabbitmq", daemon=True)
                self._thread.start()
        self._wake()
        return link

    def remove(self, link: QueueLink) -> None:
        """Let go of a queue; with the last one the connection is closed. Returns when it is done."""
        with self._lock:
            if link not in self._links:
                return
        done = threading.Event()
        deadline = time.monotonic() + HAND_BACK_TIMEOUT

        def close() -> None:
            if (channel := link.channel) is not None:
                channel.stop_consuming()
                unfinished = channel.is_stopping or self._hand_back.is_open_for(channel)
                if unfinished and time.monotonic() < deadline:
                    self._tasks.append(close)  # look again after the next step
                    return
                channel.close()
            if link in self._links:
                self._links.remove(link)
            done.set()

        self.post(close)
        done.wait(HAND_BACK_TIMEOUT + CLOSE_TIMEOUT)
        if self._thread is not None and not self._links:
            self._thread.join(2 * CLOSE_TIMEOUT)

    def has_unsettled(self, channel: ConsumerChannel) -> bool:
        """Whether a channel holds messages, or copies of them are not confirmed yet."""
        return channel.is_stopping or channel.holds > 0 or self._hand_back.is_open_for(channel)

    def post(self, task: Callable[[], None]) -> None:
        """Have the connection's thread do something. For any thread."""
        self._tasks.append(task)
        self._wake()

    def settle(self, outcome: Outcome) -> None:
        """Settle messages with the broker. For any thread."""
        self._outcomes.append(outcome)
        self._wake()

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back after some seconds, unless the connection is lost until then."""
        if self._connection is not None:
            self._connection.ioloop.call_later(seconds, callback)

    def hand_back(self, channel: ConsumerChannel, messages: list[ReceivedMessage]) -> None:
        """Hand back messages that were not started, once the connection's thread may wait for answers."""
        channel.handing_back += 1

        def give() -> None:
            channel.handing_back -= 1
            self._hand_back.give(self._calls, channel, messages)

        self._tasks.append(give)

    def _calls(self) -> Calls:
        assert self._connection is not None
        return Calls(self._connection)

    def _wake(self) -> None:
        if self._woken:
            return
        self._woken = True
        self._wake_up.set()
        if (connection := self._connection) is not None:
            connection.ioloop.add_callback_threadsafe(self._apply_outcomes)

    def _apply_outcomes(self) -> None:
        self._woken = False
        while self._outcomes:
            outcome = self._outcomes.popleft()
            outcome.channel.apply(outcome)

    def _do_tasks(self) -> None:
        self._apply_outcomes()
        for _ in range(len(self._tasks)):
            self._tasks.popleft()()

    def _run(self) -> None:
        while not self._has_ended():
            try:
                self._serve()
                continue
            except CONNECTION_ERRORS as error:
                reached("worker", False)
                told = in_words(error, self._broker.parameters)
                log.warning("no connection to RabbitMQ", error=told, again_in=self._backoff.failed())
            except Exception as error:
                log.exception("the consuming connection failed", error=repr(error), again_in=self._backoff.failed())
            while not self._has_ended() and (pause := self._backoff.at - time.monotonic()) > 0:
                self._wake_up.wait(pause)
                self._wake_up.clear()
                self._do_tasks()

    def _has_ended(self) -> bool:
        with self._lock:
            if not self._links and not self._tasks:
                self.ended = True
                reached("worker", None)
            return self.ended

    def _serve(self) -> None:
        """Serve until no queue is left. Raises one of CONNECTION_ERRORS when the connection is lost."""
        errors: list[BaseException] = []
        connection = opened(
            self._broker.parameters_for("worker"), on_close_callback=lambda connection, error: errors.append(error)
        )
        self._connection = connection
        reached("worker", True)
        self._backoff.opened()
        for link in self._links:
            link.backoff = Backoff()
        try:
            self._broker.mark(self._calls())
            while not self._has_ended():
                self._do_tasks()
                pause = self._open_channels()
                self._announce()
                connection.run_once(at_most=min(TASK_POLL, pause) if self._tasks else pause)
                self._announce()
                if connection.is_closed:
                    raise errors[0] if isinstance(errors[0], CONNECTION_ERRORS) else ConnectionError(repr(errors[0]))
        finally:
            self._connection = None
            self._hand_back.reset()
            self.touched.clear()
            connection.end()
            for link in list(self._links):
                link.channel = None

    def _announce(self) -> None:
        while self.touched:
            self.touched.pop().announce()

    def _open_channels(self) -> float:
        """Open the channels whose time has come; returns the seconds until the next one's."""
        pause = IDLE
        for link in list(self._links):
            if link.channel is not None or link.stopped or link.paused:
                continue
            if (wait := link.backoff.at - time.monotonic()) > 0:
                pause = min(pause, wait)
                continue
            self._open_channel(link)
            self._announce()
            self._apply_outcomes()
        return pause

    def _open_channel(self, link: QueueLink) -> None:
        assert self._connection is not None
        most = prefetch_for(link.subscription, link.prefetch)
        window = PrefetchWindow(most, budget=HELD_BYTES // len(self._links))
        channel = link.channel = ConsumerChannel(
            self, link.subscription, link.intake, window, on_lost=lambda channel, error: self._lose(link, error)
        )
        try:
            channel.open(declare(self._calls().channel(), self._broker, [link.subscription]))
        except CONNECTION_ERRORS as error:
            if self._connection.is_closed:
                raise
            if link.channel is channel:
                channel.close()
                self._lose(link, error)
        else:
            link.backoff.opened()

    def _lose(self, link: QueueLink, error: Any) -> None:
        """Only this channel is lost, or all are, with the connection."""
        link.channel = None
        if self._connection is None or not self._connection.is_open:
            return
        log.warning(
            "no messages from RabbitMQ",
            queue=link.subscription.queue,
            error=in_words(error, self._broker.parameters),
            again_in=link.backoff.failed(),
        )
