"""The sides: each lays a backlog of so many events and drains it in a process of its own."""

from __future__ import annotations

import io
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections, transaction

from benchmarks.backlog.effects import ROWS, clock, update
from benchmarks.backlog.models import Row

THREADS = 8
#: How long a drain may take, in seconds.
PATIENCE = 300
TITLE = "What the neighbours think of the new fountain"


class Side(ABC):
    """One way of working off events."""

    #: Every effect is one UPDATE, to be counted afterwards.
    counts = False

    @abstractmethod
    def lay(self, events: int) -> None:
        """Put a backlog where the worker will find it."""

    @abstractmethod
    def run(self) -> float:
        """Work it off; returns when the last effect was safe."""

    def drain(self, events: int) -> float:
        """Seconds from the first effect until the last one is safe."""
        clock.goal = events
        ended = self.run()
        assert clock.count == events, f"{clock.count} effects of {events} events"
        if self.counts:
            assert sum(Row.objects.values_list("count", flat=True)) == events
        return ended - clock.started


class Ours(Side):
    """Airy: events published by the relay's courier, worked off by a dramatiq worker on our broker."""

    def __init__(self, event: str, subscriber: str, *, counts: bool = False) -> None:
        self._event = event
        self._subscriber = f"backlog.{subscriber}"
        self.counts = counts

    def lay(self, events: int) -> None:
        import dramatiq

        from benchmarks.backlog import subscribers
        from events.bus import emit_many
        from events.relay.couriers import courier_for

        cls = getattr(subscribers, self._event)
        with transaction.atomic():
            emit_many(cls(number=number, author_id=7, title=TITLE) for number in range(events))
        courier = courier_for(dramatiq.get_broker())
        while courier.carry():
            pass
        courier.close()

    def run(self) -> float:
        import dramatiq

        from events.models import Delivery
        from events.subscription import queue_of

        def safe() -> bool:
            return Delivery.objects.filter(subscriber=self._subscriber, state="done").count() == clock.goal

        return _work(dramatiq.get_broker(), {queue_of(self._subscriber)}, until=safe)


class OursAgain(Ours):
    """Airy after a crash: the whole backlog was handed to a worker that died, so each event runs alone and counted."""

    def lay(self, events: int) -> None:
        import dramatiq
        import pika

        from events.subscription import queue_of

        super().lay(events)
        with pika.BlockingConnection(dramatiq.get_broker().parameters) as connection:
            channel = connection.channel()
            for _ in range(events):
                assert channel.basic_get(queue_of(self._subscriber))[0]


class Stock(Side):
    """Dramatiq as it comes: its own RabbitMQ broker, default middleware and prefetch, one actor."""

    def __init__(self, *, counts: bool = False) -> None:
        import dramatiq
        import pika
        from dramatiq.brokers.rabbitmq import RabbitmqBroker

        self.counts = counts
        credentials = pika.PlainCredentials(settings.MQ_USER, settings.MQ_PASSWORD)
        self._broker = RabbitmqBroker(
            host=settings.MQ_HOST, port=settings.MQ_PORT, virtual_host=settings.MQ_VHOST, credentials=credentials
        )

        def nothing(number: int, author_id: int, title: str) -> None:
            clock.tick()

        def count(number: int, author_id: int, title: str) -> None:
            with transaction.atomic():
                update(number)
            clock.tick()

        name = "stock_count" if counts else "stock_nothing"
        self._actor = dramatiq.actor(count if counts else nothing, broker=self._broker, queue_name=name)

    def lay(self, events: int) -> None:
        for number in range(events):
            self._actor.send(number, 7, TITLE)
        self._broker.close()

    def run(self) -> float:
        return _work(self._broker, {self._actor.queue_name}, until=lambda: True)


class ReliableOutbox(Side):
    """django-reliable-outbox: `manage.py outbox_worker --burst`, claims of 100."""

    def __init__(self, *, concurrency: int) -> None:
        self._concurrency = concurrency

    def lay(self, events: int) -> None:
        from reliable_outbox import publish

        with transaction.atomic():
            for number in range(events):
                publish("drained.nothing", {"number": number, "author_id": 7, "title": TITLE})

    def run(self) -> float:
        call_command("outbox_worker", burst=True, concurrency=self._concurrency)
        return time.perf_counter()


class DomainEvents(Side):
    """django-domain-events: `manage.py deliver_events`, claims of 500."""

    def lay(self, events: int) -> None:
        from django_domain_events import fire

        from benchmarks.backlog.events import Fired

        with transaction.atomic():
            for number in range(events):
                fire(Fired(number=number, author_id=7, title=TITLE))

    def run(self) -> float:
        passes = -(-clock.goal // settings.DJANGO_DOMAIN_EVENTS["BATCH_SIZE"])
        call_command("deliver_events", passes=passes, stdout=io.StringIO())
        return time.perf_counter()


def _work(broker: Any, queues: set[str], *, until: Callable[[], bool]) -> float:
    from dramatiq.worker import Worker

    broker.emit_after("process_boot")
    worker = Worker(broker, queues=queues, worker_threads=THREADS)
    worker.start()
    if not clock.reached.wait(PATIENCE):
        raise TimeoutError(f"{clock.count} of {clock.goal} effects in {PATIENCE} s; threads {threading.enumerate()}")
    while not until():
        time.sleep(0.002)
    ended = time.perf_counter()
    worker.stop(timeout=10_000)
    return ended


SIDES: dict[str, Callable[[], Side]] = {
    "dramatiq no-op": Stock,
    "airy no-op": lambda: Ours("Drained", "do_nothing"),
    "airy batch": lambda: Ours("Batched", "do_nothing_in_batches"),
    "airy no-op, redelivered": lambda: OursAgain("Drained", "do_nothing"),
    "dramatiq update": lambda: Stock(counts=True),
    "airy update": lambda: Ours("Counted", "count", counts=True),
    "reliable-outbox no-op": lambda: ReliableOutbox(concurrency=1),
    "reliable-outbox no-op, 4 threads": lambda: ReliableOutbox(concurrency=4),
    "domain-events no-op": DomainEvents,
}


def start_afresh() -> None:
    """Leave no row of the round before."""
    with connections["default"].cursor() as cursor:
        tables = [name for name in connections["default"].introspection.table_names(cursor) if _is_written(name)]
        cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
        cursor.execute("INSERT INTO backlog_row (id, count) SELECT n, 0 FROM generate_series(1, %s) n", [ROWS])
        cursor.execute("VACUUM ANALYZE")


def _is_written(table: str) -> bool:
    return table.startswith(("events_", "backlog_", "reliable_outbox_", "django_domain_events_"))
