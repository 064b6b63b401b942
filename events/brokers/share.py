"""Share: how many of a worker's threads each subscriber may occupy, so that a slow or failing one leaves the others
theirs.

A group of messages is in hand from when a consumer hands it out until a thread has ended it. A subscriber that has as
many groups in hand as it may has to wait, and its messages wait in the broker. All slow subscribers together leave one
thread free.

| a subscriber is  | if                                       | then it has in hand, at most                      |
|------------------|------------------------------------------|---------------------------------------------------|
| paused           | an operator says so                      | nothing: what runs ends, the rest goes back       |
| new              | none of its groups has ended here        | one message; the last free thread if no other new |
|                  |                                          | one is in hand: else it could never become fast   |
| slow             | its groups take longer than SLOW on      | its groups, while one thread is free of slow and  |
|                  | average, or one of them takes so long now| new ones                                          |
| tried less often | its breaker is open                      | one message at a time, after pauses               |
| fast             | none of these                            | its groups                                        |
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dramatiq.broker import Broker, MessageProxy
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker

from ..control import Control
from ..logger import get_logger
from ..subscription import Subscription
from .breaker import Breaker

if TYPE_CHECKING:
    from ..inbox.message import ReceivedMessage

log = get_logger("events.delivery")

#: Seconds for a group, above which its subscriber is slow.
SLOW = 0.5
#: Seconds after which a thread does not go on with a group: the rest of it waits for its turn again.
LONGEST_GROUP = 2.0
#: Seconds until a subscriber is tried again that runs elsewhere as often as it may, on average.
NO_PLACE_PAUSE = 0.2
#: The weight of the latest group in an average.
WEIGHT = 0.3
#: Seconds for which a slow subscriber that was refused is remembered as waiting.
REFUSAL_KEPT = 2.0


#: An operator says nothing.
NO_CONTROL = Control()
#: Until it is known what operators say.
UNKNOWN = Control(paused=True)


class ThreadShare(Middleware):
    """The threads of this process's worker, and who may occupy them. Every EventBroker has one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        #: The threads of the worker; 0 while there is none: then nobody is limited.
        self.threads = 0
        self._by_name: dict[str, SubscriberShare] = {}
        self._worker: Worker | None = None
        #: Those that were refused since a group ended: each is called when that may have changed.
        self._refused: dict[SubscriberShare, None] = {}
        #: By subscriber; None: not known yet, and nothing is handed out.
        self._controls: Mapping[str, Control] | None = {}

    def of(self, subscription: Subscription) -> SubscriberShare:
        """The share of one subscriber."""
        with self.lock:
            share = self._by_name.get(subscription.name)
            if share is None or share.subscription is not subscription:
                share = self._by_name[subscription.name] = SubscriberShare(self, subscription)
            return share

    def control(self, controls: Mapping[str, Control] | None) -> None:
        """Do what operators say of subscribers, by name; None: nothing is handed out until it is known."""
        with self.lock:
            self._controls = controls
            shares = list(self._by_name.values())
        for share in shares:
            share.wake()

    def control_of(self, name: str) -> Control:
        """What operators say of a subscriber."""
        controls = self._controls
        return UNKNOWN if controls is None else controls.get(name, NO_CONTROL)

    def slow_in_hand(self) -> int:
        """Groups of slow subscribers that are in hand. The lock must be held."""
        return sum(share.in_hand for share in self._by_name.values() if share.in_hand and share.is_slow())

    def new_in_hand(self) -> int:
        """Groups of new subscribers that are in hand. The lock must be held."""
        return sum(share.in_hand for share in self._by_name.values() if share.in_hand and share.is_new())

    def slow_running(self) -> int:
        """Threads that slow subscribers occupy. The lock must be held."""
        return sum(len(share.running) for share in self._by_name.values() if share.running and share.is_slow())

    def has_room_for_slow(self, share: SubscriberShare) -> bool:
        """Whether a slow or new subscriber may have one more group in hand. The lock must be held."""
        in_hand, at_most = self.slow_in_hand(), max(1, self.threads - 1)
        if share.is_new() and not self.new_in_hand():
            return in_hand < self.threads
        return in_hand < at_most and not self._waits_longer(share)

    def refused(self, share: SubscriberShare) -> None:
        """Remember who has to wait. The lock must be held."""
        self._refused[share] = None

    def _waits_longer(self, share: SubscriberShare) -> bool:
        """Whether another slow subscriber waits that has less in hand. The lock must be held."""
        recent = time.monotonic() - REFUSAL_KEPT
        return any(
            other is not share and other.refused_at > recent and other.in_hand < share.in_hand
            for other in self._by_name.values()
        )

    def changed(self) -> None:
        """Call everybody who waits: a group has ended."""
        with self.lock:
            waiting, self._refused = list(self._refused), {}
        for share in waiting:
            share.wake()

    def worker_queue(self, queue_name: str, consumer: object) -> Callable[[MessageProxy], None] | None:
        """What puts a message into the queue of the worker's threads, for the consumer that the worker runs; None for
        any other."""
        thread = self._worker.consumers.get(queue_name) if self._worker is not None else None
        return thread.handle_message if thread is not None and thread.consumer is consumer else None

    # What dramatiq calls. A share that is not its broker's own does nothing.

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        if getattr(broker, "share", None) is not self:
            return
        with self.lock:
            self.threads, self._worker = worker.worker_threads, worker
            for share in self._by_name.values():
                share.reset()
        if self.threads == 1:
            log.warning("this worker has one thread: one slow subscriber stops all others; give it --threads 2 or more")

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        if share := self._share_of(broker, message):
            share.begin(message.message_id)

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        if share := self._share_of(broker, message):
            if unstarted := getattr(exception, "unstarted", ()):
                self._put_back(message, unstarted)
            share.end(message.message_id, started=len(unstarted) < len(message.args))
            self.changed()

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)

    def _share_of(self, broker: Broker, message: MessageProxy) -> SubscriberShare | None:
        return self._by_name.get(message.actor_name) if getattr(broker, "share", None) is self else None

    def _put_back(self, message: Any, unstarted: Sequence[ReceivedMessage]) -> None:
        """Part the group: those that were not started go back to their consumer; the others are settled next."""
        rest = message.part(unstarted)
        if self._worker is not None:
            consumer: Any = self._worker.consumers[message.queue_name].consumer
            consumer.put_back(rest)


class Unlimited:
    """The share of a consumer without a worker."""

    def may_enter(self) -> bool:
        return True

    def enter(self) -> int:
        return sys.maxsize

    def leave(self) -> None:
        pass

    def shorten(self, timeout: float) -> float:
        return timeout


#: Of whoever takes messages himself.
UNLIMITED = Unlimited()


class SubscriberShare:
    """The share of one subscriber. For any thread."""

    def __init__(self, whole: ThreadShare, subscription: Subscription) -> None:
        self.subscription = subscription
        self._whole = whole
        self._lock = whole.lock
        self._wake: Callable[[], None] = lambda: None
        self.reset()

    def reset(self) -> None:
        """Begin anew: a worker has started."""
        #: Groups that were handed out, and that no thread has ended.
        self.in_hand = 0
        #: Since when each group runs.
        self.running: dict[str, float] = {}
        #: When it was last refused because slow subscribers occupy all threads that they may.
        self.refused_at = 0.0
        self._breaker = Breaker(self.subscription)
        self._not_before = 0.0
        #: Seconds of a group, on average.
        self._group: float | None = None

    # For a consumer.

    def on_change(self, wake: Callable[[], None]) -> None:
        """Call `wake` from any thread when `may_enter` was False and may be True now."""
        self._wake = wake

    def may_enter(self) -> bool:
        """Whether a group could be handed out now. Ask it only while messages wait."""
        with self._lock:
            may = self._may_enter()
            if not may:
                self._whole.refused(self)
            return may

    def enter(self) -> int:
        """The number of messages that may be handed out together now; 0 for none. From then on a group is in hand: a
        consumer that hands out none after all calls `leave`."""
        with self._lock:
            if not self.may_enter():
                return 0
            self.in_hand += 1
            self.refused_at = 0.0
            self._breaker.begin_try()
            return 1 if self._breaker.is_open else self._group_size()

    def leave(self) -> None:
        """Nothing was handed out after `enter`."""
        with self._lock:
            self._leave()
        self._whole.changed()

    def shorten(self, timeout: float) -> float:
        """`timeout` in seconds, or less if the subscriber may be tried earlier: nobody calls `wake` then."""
        with self._lock:
            wait = max(self._breaker.seconds_until_try(), self._not_before - time.monotonic())
            return min(timeout, wait) if wait > 0 else timeout

    def wake(self) -> None:
        """Call the consumer."""
        self._wake()

    @property
    def is_paused(self) -> bool:
        """Whether an operator has paused it."""
        return self._control.paused

    # For a delivery.

    def may_start(self) -> bool:
        """Whether a group that was handed out may start, or goes back."""
        with self._lock:
            if self.is_paused:
                return False
            if self._breaker.is_open and not self._breaker.is_trying:
                return False
            # A subscriber may have become slow since its groups were handed out.
            at_most = self._whole.threads - 1
            return at_most < 1 or not self.is_slow() or self.is_new() or self._whole.slow_running() <= at_most

    def may_go_on(self, seconds: float) -> bool:
        """Whether a thread that works on a group since so many seconds may go on with the rest of it."""
        with self._lock:
            return seconds < LONGEST_GROUP and not self._breaker.is_open and not self.is_paused

    def succeeded(self) -> None:
        """A message or group is done."""
        with self._lock:
            self._breaker.succeeded()

    def failed(self) -> None:
        """A message failed, and it was the subscriber's own failure."""
        with self._lock:
            self._breaker.failed()

    def has_no_place(self) -> None:
        """The subscriber runs as often as it may in all processes: hand out nothing for a while."""
        with self._lock:
            self._not_before = time.monotonic() + NO_PLACE_PAUSE * random.uniform(0.5, 1.5)

    # For the worker's threads.

    def begin(self, group: str) -> None:
        """A thread starts a group."""
        with self._lock:
            self.running[group] = time.monotonic()

    def end(self, group: str, *, started: bool = True) -> None:
        """A thread has ended a group. started: whether any of its messages was started."""
        with self._lock:
            if began := self.running.pop(group, None):
                if started:
                    self._group = _averaged(self._group, time.monotonic() - began)
                self._leave()

    def is_slow(self) -> bool:
        """Whether it is slow, or new. The lock must be held."""
        return self._group is None or self._group > SLOW or self._runs_long()

    def is_new(self) -> bool:
        """Whether nobody knows yet how slow it is. The lock must be held."""
        return self._group is None and not self._runs_long()

    def _runs_long(self) -> bool:
        now = time.monotonic()
        return any(now - since > SLOW for since in self.running.values())

    def _leave(self) -> None:
        self.in_hand = max(0, self.in_hand - 1)
        self._breaker.end_try()

    @property
    def _control(self) -> Control:
        return self._whole.control_of(self.subscription.name)

    def _may_enter(self) -> bool:
        if self.is_paused:
            return False
        if not self._whole.threads:
            return True
        if self.in_hand >= self._limit() or time.monotonic() < self._not_before:
            return False
        if self._breaker.is_open and (self.in_hand or self._breaker.seconds_until_try()):
            return False
        if not self.is_slow():
            return True
        if self._whole.has_room_for_slow(self):
            return True
        self.refused_at = time.monotonic()
        return False

    def _limit(self) -> int:
        """Groups that may be in hand in this process."""
        if self.is_new():
            return 1
        own = self._control.concurrency or self.subscription.concurrency or max(1, self._whole.threads // 2)
        return min(own, self.subscription.concurrency_total or own)

    def _group_size(self) -> int:
        size = self.subscription.group_size
        if self.subscription.batch:
            return size  # what a call costs need not grow with the batch
        return 1 if self._group is None else self.subscription.pace.fits(size)


def _averaged(average: float | None, value: float) -> float:
    return value if average is None else average + WEIGHT * (value - average)
