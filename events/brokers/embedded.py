"""The embedded broker: queues in this process, fed from the outbox. Rows stay there until their outcome, so kill -9
loses nothing."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence

from dramatiq.broker import MessageProxy

from ..inbox.message import Arrival
from ..subscription import Subscription
from .contract import ArrivalMessage, EventBroker, EventConsumer
from .redelivered import POLL, turn

#: How many arrivals of one subscriber and priority wait in memory at most; the others wait in the outbox.
CAPACITY = 500
#: Full groups of one subscriber that may be under way or waiting for a thread.
GROUPS_AHEAD = 4
#: How long a message that was given back waits before it is handed out again, in seconds.
PAUSE = 1.0


#: A row of the outbox and the attempt it was handed out for: scheduled anew, it is owed once more.
Claim = tuple[int, int]


class Mailbox:
    """The arrivals of one subscriber, the urgent first, then in order; those given back return after a pause.

    No more than `ahead` are out at a time: the others can still be overtaken here.
    """

    def __init__(self, *, ahead: int) -> None:
        self.ahead = ahead
        self._out = 0
        self._ready = threading.Condition()
        self._arrivals: list[tuple[int, int, Arrival]] = []
        self._suspects: list[tuple[int, int, Arrival]] = []
        self._firsts, self._lasts = itertools.count(-1, -1), itertools.count()
        self._returned: deque[tuple[float, Arrival]] = deque()

    def put(self, arrivals: Iterable[Arrival]) -> None:
        with self._ready:
            for arrival in arrivals:
                self._sort_in(arrival)
            self._ready.notify_all()

    def give_back(self, arrivals: Iterable[Arrival]) -> None:
        """Take arrivals whose handling had no outcome."""
        with self._ready:
            self._returned.extend((time.monotonic() + PAUSE, arrival) for arrival in arrivals)

    def put_back(self, arrivals: Iterable[Arrival]) -> None:
        """Take arrivals that nobody has begun; among those of their priority they are the next to go."""
        with self._ready:
            for arrival in reversed(list(arrivals)):
                self._sort_in(arrival, place=next(self._firsts))
            self._ready.notify_all()

    def empty(self) -> list[Arrival]:
        """Take out all that nobody has begun."""
        with self._ready:
            waiting = [arrival for _, _, arrival in (*self._suspects, *self._arrivals)]
            self._suspects, self._arrivals = [], []
            return waiting

    def take(self, most: int, *, timeout: float) -> list[Arrival]:
        """Up to `most` waiting arrivals, as soon as there is one. One that was redelivered comes alone, when it is its
        turn; fresh ones go past."""
        with self._ready:
            self._ready.wait_for(lambda: most and self._has_some(), min(timeout, POLL) if self._suspects else timeout)
            room = min(most, self.ahead - self._out)
            if room > 0 and self._suspects and turn.begin(self):
                taken = [heapq.heappop(self._suspects)[2]]
            else:
                taken = [heapq.heappop(self._arrivals)[2] for _ in range(min(room, len(self._arrivals)))]
            self._out += len(taken)
            return taken

    def let_go(self, arrivals: Sequence[Arrival]) -> None:
        """These, which were out together, are settled or given back."""
        turn.end(arrivals)
        with self._ready:
            self._out -= len(arrivals)
            self._ready.notify_all()

    def _has_some(self) -> bool:
        while self._returned and self._returned[0][0] <= time.monotonic():
            self._sort_in(self._returned.popleft()[1])
        some = bool(self._arrivals) or (bool(self._suspects) and turn.is_free(self))
        return some and self._out < self.ahead

    def _sort_in(self, arrival: Arrival, *, place: int | None = None) -> None:
        place = next(self._lasts) if place is None else place
        heapq.heappush(self._suspects if arrival.redelivered else self._arrivals, (-arrival.priority, place, arrival))

    def waiting(self, *, priority: int = 0) -> int:
        """How many nobody has begun, of at least this priority. Suspects take no room from the fresh, which go past."""
        with self._ready:
            waiting = [arrival for _, _, arrival in self._arrivals]
            waiting += [arrival for _, arrival in self._returned]
            return sum(arrival.priority >= priority for arrival in waiting)


class EmbeddedBroker(EventBroker):
    """Delivers within this process. The active relay fills the mailboxes; settled rows are deleted in its next pass."""

    def __init__(self, *, middleware: list | None = None) -> None:
        super().__init__(middleware=middleware)
        self.mailboxes: dict[str, Mailbox] = {}
        #: The claimed rows, with their attempt, that are in this process's mailboxes or running.
        self.held: set[Claim] = set()
        self._settled: deque[Claim] = deque()

    def subscribe(self, subscription: Subscription) -> None:
        super().subscribe(subscription)
        self.mailboxes.setdefault(subscription.queue, Mailbox(ahead=GROUPS_AHEAD * subscription.together))

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> EmbeddedConsumer:
        mailbox = self.mailboxes[queue_name]
        mailbox.ahead = max(mailbox.ahead, prefetch)  # enough to keep every thread busy
        return EmbeddedConsumer(self, self.subscriptions[queue_name], timeout=timeout / 1000)

    def idle(self, queues: Iterable[str]) -> set[str]:
        """All of them: what waits or runs here is in the outbox until its outcome, so nothing is on its way."""
        return set(queues)

    def settle(self, claim: Claim) -> None:
        """Note that a row's delivery has its outcome."""
        self._settled.append(claim)

    def has_settled(self) -> bool:
        """Whether rows have been settled since they were last taken."""
        return bool(self._settled)

    def settled(self, most: int) -> list[Claim]:
        """What was settled since the last call."""
        return [self._settled.popleft() for _ in range(min(most, len(self._settled)))]


class EmbeddedConsumer(EventConsumer):
    """Takes from one mailbox; a message is settled by forgetting its row, or given back."""

    def __init__(self, broker: EmbeddedBroker, subscription: Subscription, *, timeout: float) -> None:
        super().__init__(broker)
        self._settle = broker.settle
        self._subscription = subscription
        self._mailbox = broker.mailboxes[subscription.queue]
        self._timeout = timeout

    def __next__(self) -> MessageProxy | None:
        most = self._subscription.together if self._may_take() else 0
        arrivals = self._mailbox.take(most, timeout=self._timeout)
        return ArrivalMessage(arrivals, subscription=self._subscription, origin=self) if arrivals else None

    def ack(self, message: ArrivalMessage) -> None:  # type: ignore[override]
        for arrival in message.arrivals:
            self._settle(arrival.tag)
        self._mailbox.let_go(message.arrivals)

    def nack(self, message: ArrivalMessage) -> None:  # type: ignore[override]
        # Each comes back alone and counted, so that one that never has an outcome ends as a dead letter.
        self._mailbox.give_back([arrival._replace(redelivered=True) for arrival in message.arrivals])
        self._mailbox.let_go(message.arrivals)

    def requeue(self, messages: Iterable[ArrivalMessage]) -> None:  # type: ignore[override]
        for message in messages:
            self._mailbox.put_back(message.arrivals)
            self._mailbox.let_go(message.arrivals)
