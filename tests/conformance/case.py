"""Case: the broker, subscribers, publishers and workers of one test, and the outcomes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction

from events.bus import Event, emit_many
from events.models import Delivery, OutboxMessage
from events.subscription import Subscription, subscriptions
from tests.conformance.candidates import Candidate
from tests.conformance.counts import Counts, counts_in
from tests.conformance.delivery_log import DeliveryLog
from tests.conformance.events import Noted
from tests.conformance.in_process_worker import InProcessWorker
from tests.conformance.models import Mark

#: Seconds that a condition may take on a busy machine. What is lost never comes.
PATIENCE = 90.0

Reaction = Callable[[Any], object]


class Case:
    """Subscribers leave one Mark per event, in their transaction, and then call their reaction."""

    def __init__(self, candidate: Candidate, folder: Path, *, eventually: Callable[..., None]) -> None:
        self.candidate = candidate
        self.features = candidate.features
        self.eventually = partial(eventually, within=PATIENCE)
        self.namespace = f"conformance_{candidate.name}_{uuid.uuid4().hex[:8]}"
        self.delivery_log = folder / "delivery_log"
        self.notes: list[str] = []
        self._own: dict[str, Subscription] = {}
        self._open = ExitStack()

    def requires(self, *features: str) -> None:
        """End the case as "not promised" unless the broker declares these."""
        for feature in features:
            if not getattr(self.features, feature):
                pytest.skip(f"not promised: {feature.replace('_', ' ')}")

    def subscriber(
        self, *what: type[Event] | str, name: str = "listener", does: Reaction | None = None, **options: Any
    ) -> Subscription:
        """Subscribe; `does` gets what the function gets, after the marks and in the same transaction."""
        full_name = f"{self.namespace}.{name}"

        def leave_marks(taken: Any) -> None:
            events = taken if options.get("batch") else [taken]
            Mark.objects.bulk_create([_mark(full_name, event) for event in events])
            if does:
                does(taken)

        subscription = Subscription(
            name=full_name,
            function=leave_marks,
            origin=full_name,
            patterns=tuple(one if isinstance(one, str) else one.topic for one in what or (Noted,)),
            **{"min_backoff": 20, "max_backoff": 100} | options,
        )
        subscriptions[full_name] = self._own[full_name] = subscription
        return subscription

    def open_worker(self, *, threads: int = 4, only: Sequence[Subscription] = ()) -> InProcessWorker:
        """Open a worker; it is closed at the end of the case at the latest."""
        return InProcessWorker(
            self.candidate.broker(self.namespace),
            only or self._own.values(),
            delivery_log=DeliveryLog(self.delivery_log),
            threads=threads,
        )

    def worker_until_the_end(self, **options: Any) -> InProcessWorker:
        """A worker that is closed with the case."""
        return self._open.enter_context(self.open_worker(**options))

    def emit(self, events: Iterable[Event], **options: Any) -> list[uuid.UUID]:
        """Emit in one transaction; returns the ids."""
        with transaction.atomic():
            return emit_many(events, **options)

    def notes_of(self, count: int, *, lines: int = 1, start: int = 0, kind: type[Event] = Noted) -> list[Any]:
        """Events that take turns on a number of lines."""
        return [kind(line=n % lines, number=n // lines) for n in range(start, start + count)]

    def publish(self, events: Sequence[Event], *, publishers: int = 1, together: int = 1) -> list[uuid.UUID]:
        """Emit from several threads at once, `together` events a transaction; what shares a line shares a thread."""

        def share(own: list[Event]) -> list[uuid.UUID]:
            try:
                return [id for n in range(0, len(own), together) for id in self.emit(own[n : n + together])]
            finally:
                connections.close_all()

        shares: list[list[Event]] = [[] for _ in range(publishers)]
        for event in events:
            shares[getattr(event, "line", 0) % publishers].append(event)
        with ThreadPoolExecutor(publishers) as threads:
            return [id for ids in threads.map(share, shares) for id in ids]

    def wait_for(self, subscription: Subscription, count: int, *, within: float | None = None) -> None:
        """Wait until so many of a subscriber's deliveries have their outcome, and none is owed any more."""
        within = within or PATIENCE + count / 10
        final = Delivery.objects.filter(subscriber=subscription.name).exclude(state="retrying")
        self.eventually(lambda: final.count() >= count and not OutboxMessage.objects.exists(), within=within)

    def wait_for_effects(self, subscription: Subscription, count: int) -> None:
        """Wait until a subscriber has left so many effects, whatever others still have to do."""
        effects = Mark.objects.filter(subscriber=subscription.name)
        self.eventually(lambda: effects.count() >= count)

    def expect(self, subscription: Subscription, ids: Iterable[uuid.UUID], *, within: float | None = None) -> None:
        """Wait for the outcomes, then: each of these events has one effect, and no other has any."""
        ids = list(ids)
        self.wait_for(subscription, len(ids), within=within)
        effects = list(Mark.objects.filter(subscriber=subscription.name).values_list("event_id", flat=True))
        assert len(effects) == len(set(effects)), "an effect was doubled"
        assert set(effects) == set(ids), f"{len(set(ids) - set(effects))} lost, {len(set(effects) - set(ids))} foreign"

    def effects(self, subscription: Subscription) -> list[tuple[int, int]]:
        """Line and number of a subscriber's effects, in their order."""
        return list(Mark.objects.filter(subscriber=subscription.name).order_by("pk").values_list("line", "number"))

    def counts(self) -> Counts:
        """What was counted so far."""
        return counts_in(self.delivery_log)

    def note(self, text: str) -> None:
        """Print a figure below the table of results."""
        self.notes.append(text)

    def close(self) -> None:
        """Stop the workers, forget the subscribers, remove the queues."""
        try:
            self._open.close()
        finally:
            for name in self._own:
                subscriptions.pop(name, None)
            self.candidate.clean(self.namespace, [one.queue for one in self._own.values()])


def _mark(subscriber: str, event: Any) -> Mark:
    return Mark(
        subscriber=subscriber,
        event_id=event.meta.id,
        line=event.line,
        number=event.number,
        attempt=event.meta.attempt,
        text=event.text,
    )
