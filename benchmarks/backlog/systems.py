"""Systems: the systems compared by `benchmarks.drain`. Each stores a backlog of events and processes it."""

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

#: Worker threads.
THREADS = 8
#: Seconds after which a drain that has not ended fails the benchmark.
DRAIN_TIMEOUT = 300
#: The title that each event carries.
TITLE = "What the neighbours think of the new fountain"


class System(ABC):
    """One system that processes events."""

    #: Each effect is one UPDATE; they are counted afterwards.
    counts = False

    @abstractmethod
    def store(self, events: int) -> None:
        """Store a backlog where the worker will find it."""

    @abstractmethod
    def process(self) -> float:
        """Process the backlog; gives the time when the last effect was committed, by time.perf_counter."""

    def drain(self, events: int) -> float:
        """Seconds from the first effect until the last one is committed."""
        clock.goal = events
        ended = self.process()
        assert clock.count == events, f"{clock.count} effects of {events} events"
        if self.counts:
            assert sum(Row.objects.values_list("count", flat=True)) == events
        return ended - clock.started


class Airy(System):
    """Airy: events published by its relay, processed by a dramatiq worker on its broker."""

    def __init__(self, event: str, subscriber: str, *, counts: bool = False, beside: str | None = None) -> None:
        """beside: another subscriber that works at the same time."""
        self._beside = beside
        self._event = event
        self._subscriber = f"backlog.{subscriber}"
        self.counts = counts

    def store(self, events: int) -> None:
        import dramatiq

        from benchmarks.backlog import subscribers
        from events.bus import emit_many

        cls = getattr(subscribers, self._event)
        with transaction.atomic():
            emit_many(cls(number=number, author_id=7, title=TITLE) for number in range(events))
        courier = dramatiq.get_broker().courier()
        while courier.carry():
            pass
        courier.close()

    def process(self) -> float:
        import dramatiq

        from events.models import Delivery
        from events.subscription import queue_of

        def all_done() -> bool:
            return Delivery.objects.filter(subscriber=self._subscriber, state="done").count() == clock.goal

        queues = {queue_of(self._subscriber)} | ({queue_of(f"backlog.{self._beside}")} if self._beside else set())
        return _run_worker(dramatiq.get_broker(), queues, until=all_done, stop=not self._beside)


class AiryRedelivered(Airy):
    """Airy after a crash: every event was delivered to a worker that died, so each one now runs alone."""

    def store(self, events: int) -> None:
        import dramatiq
        import pika

        from events.subscription import queue_of

        super().store(events)
        with pika.BlockingConnection(dramatiq.get_broker().parameters) as connection:
            channel = connection.channel()
            for _ in range(events):
                assert channel.basic_get(queue_of(self._subscriber))[0]


class PlainDramatiq(System):
    """Dramatiq alone: its own RabbitMQ broker, its default middleware and prefetch, one actor."""

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
            clock.count_effects()

        def count(number: int, author_id: int, title: str) -> None:
            with transaction.atomic():
                update(number)
            clock.count_effects()

        name = "plain_count" if counts else "plain_nothing"
        self._actor = dramatiq.actor(count if counts else nothing, broker=self._broker, queue_name=name)

    def store(self, events: int) -> None:
        for number in range(events):
            self._actor.send(number, 7, TITLE)
        self._broker.close()

    def process(self) -> float:
        return _run_worker(self._broker, {self._actor.queue_name}, until=lambda: True)


class ReliableOutbox(System):
    """django-reliable-outbox: `manage.py outbox_worker --burst`, claims of 100."""

    def __init__(self, *, concurrency: int) -> None:
        self._concurrency = concurrency

    def store(self, events: int) -> None:
        from reliable_outbox import publish

        with transaction.atomic():
            for number in range(events):
                publish("backlog.nothing", {"number": number, "author_id": 7, "title": TITLE})

    def process(self) -> float:
        call_command("outbox_worker", burst=True, concurrency=self._concurrency)
        return time.perf_counter()


class DomainEvents(System):
    """django-domain-events: `manage.py deliver_events`, claims of 500."""

    def store(self, events: int) -> None:
        from django_domain_events import fire

        from benchmarks.backlog.events import Fired

        with transaction.atomic():
            for number in range(events):
                fire(Fired(number=number, author_id=7, title=TITLE))

    def process(self) -> float:
        passes = -(-clock.goal // settings.DJANGO_DOMAIN_EVENTS["BATCH_SIZE"])
        call_command("deliver_events", passes=passes, stdout=io.StringIO())
        return time.perf_counter()


def _run_worker(broker: Any, queues: set[str], *, until: Callable[[], bool], stop: bool = True) -> float:
    from dramatiq.worker import Worker

    broker.emit_after("process_boot")
    worker = Worker(broker, queues=queues, worker_threads=THREADS)
    worker.start()
    if not clock.reached.wait(DRAIN_TIMEOUT):
        raise TimeoutError(
            f"{clock.count} of {clock.goal} effects in {DRAIN_TIMEOUT} s; threads {threading.enumerate()}"
        )
    while not until():
        time.sleep(0.002)
    ended = time.perf_counter()
    if stop:
        worker.stop(timeout=10_000)
    return ended


SYSTEMS: dict[str, Callable[[], System]] = {
    "dramatiq no-op": PlainDramatiq,
    "airy no-op": lambda: Airy("Ignored", "do_nothing"),
    "airy batch": lambda: Airy("Batched", "do_nothing_in_batches"),
    "airy no-op, redelivered": lambda: AiryRedelivered("Ignored", "do_nothing"),
    "dramatiq update": lambda: PlainDramatiq(counts=True),
    "airy update": lambda: Airy("Counted", "count", counts=True),
    "reliable-outbox no-op": lambda: ReliableOutbox(concurrency=1),
    "reliable-outbox no-op, 4 threads": lambda: ReliableOutbox(concurrency=4),
    "domain-events no-op": DomainEvents,
}


def reset_tables() -> None:
    """Empty all tables and reset the counters."""
    with connections["default"].cursor() as cursor:
        tables = [name for name in connections["default"].introspection.table_names(cursor) if _is_written(name)]
        cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
        cursor.execute("INSERT INTO backlog_row (id, count) SELECT n, 0 FROM generate_series(1, %s) n", [ROWS])
        cursor.execute("VACUUM ANALYZE")


def delete_queues() -> None:
    """Delete all queues of Airy, with what still waits in them."""
    import dramatiq
    import pika

    broker = dramatiq.get_broker()
    with pika.BlockingConnection(broker.parameters) as connection:
        for queue in broker.subscriptions:
            connection.channel().queue_delete(queue)


def _is_written(table: str) -> bool:
    return table.startswith(("events_", "backlog_", "reliable_outbox_", "django_domain_events_"))
