"""History: a random sequence of what happens to events, and how far each subscriber is behind by a plain full count."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections import defaultdict
from dataclasses import replace as changed
from typing import Any

from django.db import transaction

from events.bus import PermanentFailure, continue_with, emit, subscriber, suppressed
from events.inbox.message import ReceivedMessage
from events.models import Delivery, OutboxMessage, StoredEvent, Subscription
from events.outbox.log import only_for
from events.repair.announce import announce
from events.repair.dead_letters import dead_letters, discard, requeue
from events.repair.missing import SubscriberCheck
from events.repair.replay import events_for, replay
from events.subscription import subscriptions
from events.testing import run, take
from events.topics import matches
from tests.effects.events import BalanceChanged, Knocked, Rang, Walked

#: What happens, and how often beside the others.
VERBS = {
    "emit": 8,
    "publish": 6,
    "work": 12,
    "reconcile": 4,
    "lose": 1,
    "replay": 2,
    "requeue": 2,
    "discard": 1,
    "hear_of_a_foreign_event": 1,
    "listen_to_more": 0.5,
    "remove_the_code": 0.3,
}


class History:
    """Three subscribers, and what happens to them. Call it inside of own_subscribers()."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._mailboxes: dict[str, list[ReceivedMessage]] = defaultdict(list)
        #: For each subscriber the end of the log when it began to listen to a pattern.
        self._since: dict[str, dict[str, int]] = {}
        #: (subscriber, event, run) of every replay, wanted until it has an outcome.
        self._asked: set[tuple[str, uuid.UUID, int]] = set()
        self.said: list[str] = []
        # A process declares a name only once.
        self.bells, self.walks, self.orphan = (
            f"history.{one}_{uuid.uuid4().hex[:8]}" for one in ("bells", "walks", "orphan")
        )
        subscriptions.clear()
        Subscription.objects.all().delete()
        self.emit()
        self._declare()

    def step(self) -> None:
        """Let something happen."""
        (verb,) = self._random.choices(list(VERBS), list(VERBS.values()))
        self.said.append(verb)
        getattr(self, verb)()

    def full_counts(self) -> dict[str, int]:
        """How many events each subscriber is behind: every event of the log and every row of the inbox is looked at."""
        log = list(StoredEvent.objects.all())
        inbox = list(Delivery.objects.all())
        final = {(one.subscriber, one.event_id, one.run) for one in inbox if one.state != "retrying"}
        counts = {}
        for name, since in self._since.items():
            behind = {one.event_id for one in inbox if one.subscriber == name and one.state == "retrying"}
            for event in log:
                listens = any(
                    event.sequence > begin and matches(pattern, event.topic) for pattern, begin in since.items()
                )
                if listens and event.suppressed in ("", only_for(name)) and (name, event.event_id, 0) not in final:
                    behind.add(event.event_id)
            behind |= {key[1] for key in self._asked - final if key[0] == name}
            counts[name] = len(behind)
        return counts

    def emit(self) -> None:
        for _ in range(self._random.randint(1, 4)):
            number = self._random.randint(0, 9)
            event = self._random.choice(
                [Rang(number=number), Walked(number=number, steps=3), BalanceChanged(account_id=1, before=0, after=1)]
            )
            options: dict[str, Any] = {"priority": self._random.choice([0, 0, 3])}
            if self._random.random() < 0.1:
                options["delay"] = dt.timedelta(days=3)
            with transaction.atomic():
                if self._random.random() < 0.1:
                    with suppressed("a test"):
                        emit(event, priority=options["priority"])
                else:
                    emit(event, **options)

    def publish(self) -> None:
        for name, messages in take().items():
            self._mailboxes[name] += messages

    def work(self) -> None:
        name, mailbox = self._mailbox()
        for _ in range(self._random.randint(1, 5)):
            if not mailbox:
                return
            message = mailbox.pop(self._random.randrange(len(mailbox)))
            if self._random.random() < 0.1:
                mailbox.append(message)  # the broker delivers it a second time
            run(name, [message])

    def reconcile(self) -> None:
        idle = [dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)] if self._random.random() < 0.5 else []
        for row in Subscription.objects.filter(name__in=list(subscriptions)):
            check = SubscriberCheck(
                row,
                stable_offset=StoredEvent.objects.newest(),
                now=dt.datetime.now(dt.UTC),
                patience=dt.timedelta(0),
                idle=idle,
            )
            check.fill_watchlist()
            check.heal_lost()

    def lose(self) -> None:
        _, mailbox = self._mailbox()
        del mailbox[: self._random.randint(0, 2)]

    def replay(self) -> None:
        name = self._random.choice(sorted(subscriptions))
        before = set(self._owed(name))
        first = self._random.randint(0, StoredEvent.objects.newest())
        suppressed_too = self._random.random() < 0.3
        replay(name, events_for(name, from_sequence=first, to_sequence=first + 8, suppressed=suppressed_too))
        self._asked |= set(self._owed(name)) - before

    def requeue(self) -> None:
        requeue(dead_letters(ids=self._some_dead_letters()))

    def discard(self) -> None:
        discard(dead_letters(ids=self._some_dead_letters()))

    def hear_of_a_foreign_event(self) -> None:
        name = self._random.choice(sorted(subscriptions))
        first = StoredEvent.objects.filter(topic="bell.rang", suppressed="").first()
        if first is not None and subscriptions[name].wants(first.topic):
            other = {"id": uuid.uuid4(), "source": "/elsewhere", "sequence": None}
            envelope = first.envelope()._replace(**other)
            self._mailboxes[name].append(ReceivedMessage(envelope=envelope, body=envelope.encode()))

    def listen_to_more(self) -> None:
        if self.bells in subscriptions and "account.*" not in self._since[self.bells]:
            patterns = (*subscriptions[self.bells].patterns, "account.*")
            subscriptions[self.bells] = changed(subscriptions[self.bells], patterns=patterns)
            self._announce()

    def remove_the_code(self) -> None:
        subscriptions.pop(self.orphan, None)
        self._mailboxes.pop(self.orphan, None)

    def _declare(self) -> None:
        @subscriber(Rang, name=self.bells, max_retries=2, replayable=True)
        def bells(event: Any) -> None:
            self._maybe_fail()

        @subscriber("walk.*", name=self.walks, max_retries=1)
        def walks(event: Walked) -> None:
            self._maybe_fail()
            if event.at + 1 < event.steps:
                continue_with(event.model_copy(update={"at": event.at + 1}))

        @subscriber("#", name=self.orphan, max_retries=2)
        def orphan(event: Rang | Walked | BalanceChanged | Knocked) -> None:
            self._maybe_fail()

        self._announce()

    def _announce(self) -> None:
        announce()
        for name, one in subscriptions.items():
            since = self._since.setdefault(name, {})
            for pattern in one.patterns:
                since.setdefault(pattern, StoredEvent.objects.newest())

    def _maybe_fail(self) -> None:
        chance = self._random.random()
        if chance < 0.15:
            raise PermanentFailure("no use")
        if chance < 0.35:
            raise ValueError("not yet")

    def _mailbox(self) -> tuple[str, list[ReceivedMessage]]:
        name = self._random.choice(sorted(subscriptions))
        return name, self._mailboxes[name]

    def _owed(self, name: str) -> list[tuple[str, uuid.UUID, int]]:
        rows = OutboxMessage.objects.filter(subscriber=name)
        return [(name, event_id, run) for event_id, run in rows.values_list("event__event_id", "run")]

    def _some_dead_letters(self) -> list[int]:
        dead = [one.pk for one in dead_letters().order_by("pk")]
        return self._random.sample(dead, min(2, len(dead))) or [0]
