"""DirectoryBroker: a broker whose queues are directories and whose messages are files.

It shows that a broker of your own is one class, by the contract alone (`events/brokers/contract.py`). Durable, for any
number of processes on one machine:

    ROOT/QUEUE/patterns          the topic patterns of the queue, one per line
    ROOT/QUEUE/new/NAME          a message that waits; NAME sorts by priority, then by age
    ROOT/QUEUE/again/NAME        a message that was handed out before, without an outcome
    ROOT/QUEUE/held/OWNER/NAME   a message that a consumer holds
    ROOT/QUEUE/held/OWNER.lock   locked for as long as that consumer lives: the lock ends with its process

A message moves by a rename, which succeeds for one process only. It is deleted once it has its outcome.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from events.brokers.contract import (
    GIVE_BACK_PAUSE,
    Answers,
    Courier,
    EventBroker,
    EventConsumer,
    MessageGroup,
    Outgoing,
    nothing,
)
from events.brokers.redelivered import RedeliveredQueue
from events.inbox.message import ReceivedMessage
from events.subscription import Subscription
from events.topics import matches

#: Seconds between two looks into a directory.
POLL = 0.02


class DirectoryBroker(EventBroker):
    """Delivers through the directory `root`."""

    def __init__(self, *, root: str, middleware: list[Any] | None = None) -> None:
        super().__init__(middleware=middleware)
        self.root = Path(root)

    def courier(self, go_on: Callable[[], bool] = lambda: True) -> Courier:
        from events.brokers.publish_outbox import PublishingCourier  # Django makes the broker before it has models.

        return PublishingCourier(DirectoryPublisher(self), go_on=go_on)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> DirectoryConsumer:
        return DirectoryConsumer(self, self.subscriptions[queue_name], prefetch=prefetch, timeout=timeout / 1000)

    def idle(self, queues: Iterable[str]) -> set[str]:
        return {queue for queue in queues if not any(_names(self.root / queue / state) for state in ("new", "again"))}

    def close(self) -> None:
        """There is no connection."""

    def declare(self, subscription: Subscription) -> Path:
        """Make a queue's directories, unless they exist; returns the queue's own."""
        queue = self.root / subscription.queue
        for state in ("new", "again", "held"):
            (queue / state).mkdir(parents=True, exist_ok=True)
        _write(queue / "patterns", "\n".join(subscription.patterns).encode())
        return queue


class DirectoryPublisher:
    """Writes each message to the disk before it counts as published."""

    def __init__(self, broker: DirectoryBroker) -> None:
        self._broker = broker
        self._numbers = itertools.count()
        self._declared = False

    def publish(self, messages: Sequence[Outgoing], *, meanwhile: Callable[[], None] = nothing) -> Answers:
        if not self._declared:
            for subscription in self._broker.subscriptions.values():
                self._broker.declare(subscription)
            self._declared = True
        root = self._broker.root
        patterns = {path.parent: path.read_text().split() for path in root.glob("*/patterns")}
        confirmed: set[str] = set()
        returned: set[str] = set()
        for message in messages:
            queues = (
                [root / message.queue]
                if message.queue
                else [queue for queue, wanted in patterns.items() if any(matches(one, message.topic) for one in wanted)]
            )
            queues = [queue for queue in queues if queue in patterns]
            (confirmed if queues else returned).add(message.message_id)
            name = f"{9 - message.priority}-{time.time_ns():020}-{next(self._numbers):08}-{uuid.uuid4().hex[:8]}"
            route = message.queue or message.topic
            head = {"headers": message.headers or {}, "priority": message.priority, "routing_key": route}
            for queue in queues:
                _write(queue / "new" / name, json.dumps(head).encode() + b"\n" + message.body)
        return Answers(confirmed=confirmed, returned=returned)

    def keep_alive(self) -> None:
        """There is no connection."""

    def close(self) -> None:
        self._declared = False


class DirectoryConsumer(EventConsumer):
    """Holds the messages of one queue that a worker was handed."""

    def __init__(self, broker: DirectoryBroker, subscription: Subscription, *, prefetch: int, timeout: float) -> None:
        super().__init__(broker, subscription)
        self._subscription = subscription
        self._timeout = timeout
        self._queue = broker.declare(subscription)
        self._held = self._queue / "held" / uuid.uuid4().hex
        self._lock = _locked(self._held.with_suffix(".lock"))
        self._held.mkdir()
        self._redelivered = RedeliveredQueue()
        #: Outcomes of other threads: (names, where the messages go, or None to delete them, when).
        self._outcomes: deque[tuple[list[str], str | None, float]] = deque()

    def __next__(self) -> MessageGroup | None:
        deadline = time.monotonic() + self._timeout
        while True:
            self._settle()
            messages = self._take() if self._may_take() else []
            if messages or time.monotonic() >= deadline:
                break
            time.sleep(POLL)
        return MessageGroup(messages, subscription=self._subscription, origin=self) if messages else None

    def ack(self, message: MessageGroup) -> None:  # type: ignore[override]
        self._note(message, None)

    def nack(self, message: MessageGroup) -> None:  # type: ignore[override]
        self._note(message, "again", pause=GIVE_BACK_PAUSE)

    def requeue(self, messages: Iterable[MessageGroup]) -> None:  # type: ignore[override]
        for message in messages:
            self._note(message, "again" if message.messages[0].redelivered else "new")

    def close(self) -> None:
        """Settle what has its outcome. What is still held goes to `again` when the lock is free."""
        self._settle(wait=False)
        self._take_over(self._held)
        self._lock.close()
        self._held.with_suffix(".lock").unlink(missing_ok=True)

    def _note(self, group: MessageGroup, state: str | None, *, pause: float = 0.0) -> None:
        self._redelivered.settled(group.messages)
        self._outcomes.append(([one.tag for one in group.messages], state, time.monotonic() + pause))

    def _settle(self, *, wait: bool = True) -> None:
        for _ in range(len(self._outcomes)):
            names, state, when = self._outcomes.popleft()
            if wait and when > time.monotonic():
                self._outcomes.append((names, state, when))
                continue
            for name in names:
                if state is None:
                    (self._held / name).unlink(missing_ok=True)
                else:
                    _move(self._held / name, self._queue / state / name)

    def _take(self) -> list[ReceivedMessage]:
        """Waiting messages, up to a group; a redelivered one comes alone, when it is its turn."""
        self._recover_from_the_dead()
        if not self._redelivered:
            for message in self._hold("again", 1):
                self._redelivered.put(message)
        some_wait = self._redelivered.can_take() or bool(_names(self._queue / "new"))
        room = self.share.enter() if some_wait else 0
        if not room:
            return []
        if alone := self._redelivered.take_alone():
            return [alone]
        if not (messages := self._hold("new", room)):
            self.share.leave()
        return messages

    def _hold(self, state: str, limit: int) -> list[ReceivedMessage]:
        messages: list[ReceivedMessage] = []
        for name in _names(self._queue / state):
            if len(messages) == limit:
                break
            if _move(self._queue / state / name, self._held / name):
                head, _, body = (self._held / name).read_bytes().partition(b"\n")
                messages.append(
                    ReceivedMessage.decode(
                        body,
                        **json.loads(head),
                        queue=self._subscription.queue,
                        redelivered=state == "again",
                        tag=name,
                    )
                )
        return messages

    def _recover_from_the_dead(self) -> None:
        for lock in (self._queue / "held").glob("*.lock"):
            if lock.stem != self._held.name and (file := _try_lock(lock)):
                with file:
                    self._take_over(lock.with_suffix(""))
                    lock.unlink(missing_ok=True)

    def _take_over(self, held: Path) -> None:
        for name in _names(held):
            _move(held / name, self._queue / "again" / name)
        shutil.rmtree(held, ignore_errors=True)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _move(source: Path, target: Path) -> bool:
    """Whether this process moved the file: another may have been faster."""
    try:
        source.rename(target)
    except FileNotFoundError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    """Write a file that is whole whenever it is seen, and safe on the disk."""
    partial = path.parent.parent / f".{path.parent.name}-{path.name}-{uuid.uuid4().hex}"
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _locked(path: Path) -> Any:
    """A new file, locked before it has its name: another consumer must never see it free while its owner lives."""
    partial = path.with_suffix(".new")
    file = partial.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    partial.rename(path)
    return file


def _try_lock(path: Path) -> Any:
    """The file, locked; None while its owner lives."""
    try:
        file = path.open("r+")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
