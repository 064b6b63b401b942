"""Order: whatever writers, relays and faults do, no event is lost, and the first publishes of one changed row come in
the order of its commits."""

from __future__ import annotations

import copy
import itertools
import json
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pika
import pytest
from django.db import connection, connections, transaction

from events.models import OutboxMessage, StoredEvent
from tests.conformance.processes import Manage
from tests.effects.models import Account
from tests.support.seat import seated, seated_process, unseat

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]

Eventually = Callable[..., None]


class Observer:
    """A queue of the test's own, bound to the exchange: what was published, in the order RabbitMQ took it."""

    def __init__(self) -> None:
        parameters = copy.copy(dramatiq.get_broker().parameters)
        parameters.heartbeat = 0  # nobody answers one until the test takes what it saw, minutes later perhaps
        self._connection = pika.BlockingConnection(parameters)
        self._channel = self._connection.channel()
        self._channel.exchange_declare("airy.events", exchange_type="topic", durable=True)
        self._queue = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(self._queue, "airy.events", "account.*")
        self.seen: list[dict[str, Any]] = []

    def take(self) -> list[dict[str, Any]]:
        """All that was published so far."""
        while (got := self._channel.basic_get(self._queue, auto_ack=True))[0]:
            self.seen.append(json.loads(got[2]))
        return self.seen

    def firsts(self) -> dict[int, list[dict[str, Any]]]:
        """The first publishes of each account's events."""
        known: set[str] = set()
        firsts: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for event in self.take():
            if event["id"] not in known:
                known.add(event["id"])
                firsts[event["data"]["account_id"]].append(event)
        return firsts

    def inversions(self) -> int:
        """Events that do not begin where the one before of the same account ended."""
        return sum(
            one["data"]["after"] != two["data"]["before"]
            for events in self.firsts().values()
            for one, two in itertools.pairwise(events)
        )

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def observer(vhost: str, transactional_db: None) -> Iterator[Observer]:
    observer = Observer()
    yield observer
    observer.close()


@pytest.fixture
def carry(observer: Observer) -> Iterator[Callable[[], list[int]]]:
    """Carry all that is there with a courier of its own; returns the balances published so far, in order."""
    courier = dramatiq.get_broker().courier()

    def carry() -> list[int]:
        while courier.carry():
            pass
        return [event["data"]["after"] for event in observer.take()]

    yield carry
    courier.close()


class Writer:
    """A transaction of another connection, one step at a time."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []
        self._ready, self._idle = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with transaction.atomic():
            while True:
                self._ready.acquire()
                if not self._steps:
                    break
                self._steps.pop(0)()
                self._idle.release()
        connections.close_all()

    def begin(self, step: Callable[[], object]) -> None:
        """Begin a step, which may have to wait for a lock."""
        self._steps.append(step)
        self._ready.release()

    def finish(self) -> None:
        """Wait until the step is done."""
        assert self._idle.acquire(timeout=30)

    def do(self, step: Callable[[], object]) -> None:
        self.begin(step)
        self.finish()

    def commit(self) -> None:
        self._ready.release()
        self._thread.join(30)


def set_balance(pk: int, balance: int) -> None:
    account = Account.objects.get(pk=pk)
    account.balance = balance
    account.save()


def some_lock_is_waited_for() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def test_an_event_that_commits_late_is_published_though_later_ones_were_already(
    carry: Callable[[], list[int]],
) -> None:
    early, late = Account.objects.create(), Account.objects.create()
    writer = Writer()
    writer.do(lambda: set_balance(late.pk, 1))
    set_balance(early.pk, 2)
    assert carry() == [2]
    writer.commit()
    sequences = StoredEvent.objects.order_by("sequence").values_list("data__after", flat=True)
    assert list(sequences) == [1, 2]
    assert carry() == [2, 1]
    assert not OutboxMessage.objects.exists()


def test_a_transaction_that_began_first_and_committed_last_publishes_last(
    carry: Callable[[], list[int]], observer: Observer
) -> None:
    x, y = Account.objects.create(), Account.objects.create()
    elder = Writer()
    elder.do(lambda: set_balance(y.pk, 1))  # takes the lower transaction id
    set_balance(x.pk, 10)
    elder.do(lambda: set_balance(x.pk, 20))
    elder.commit()
    assert [after for after in carry() if after >= 10] == [10, 20]
    assert observer.inversions() == 0


def test_an_event_is_numbered_after_the_lock_of_its_row_was_had(
    carry: Callable[[], list[int]], observer: Observer, eventually: Eventually
) -> None:
    account = Account.objects.create()
    first, second = Writer(), Writer()
    stale = Account.objects.get(pk=account.pk)
    stale.balance = 20
    first.do(lambda: Account.objects.select_for_update().get(pk=account.pk))
    second.begin(stale.save)
    eventually(some_lock_is_waited_for)
    first.do(lambda: set_balance(account.pk, 10))
    first.commit()
    second.finish()
    second.commit()
    assert carry() == [10, 20]
    assert observer.inversions() == 0


@pytest.mark.parametrize("changes", [150, pytest.param(400, marks=pytest.mark.slow)])
def test_two_who_both_take_themselves_for_the_active_relay_double_but_do_not_invert(
    observer: Observer, transactional_db: None, changes: int
) -> None:
    accounts = [Account.objects.create() for _ in range(3)]
    for balance in range(1, changes + 1):
        for account in accounts:
            account.balance = balance
            account.save()
    start = threading.Barrier(2)

    def relay() -> None:
        courier = dramatiq.get_broker().courier()
        start.wait(30)
        while courier.carry():
            pass
        courier.close()
        connections.close_all()

    relays = [threading.Thread(target=relay) for _ in range(2)]
    for one in relays:
        one.start()
    for one in relays:
        one.join(60)
    firsts = observer.firsts()
    assert [len(events) for events in firsts.values()] == [changes] * 3
    assert observer.inversions() == 0
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize("events", [500, pytest.param(6_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_nothing_is_lost_or_inverted_while_relays_are_killed_and_unseated(
    manage: Manage, observer: Observer, eventually: Eventually, events: int
) -> None:
    accounts = [Account.objects.create().pk for _ in range(5)]
    relays = [manage("relay"), manage("relay")]
    eventually(seated, within=60)
    balances = iter(range(1, events + 1))
    turn = threading.Lock()

    def write(dice: random.Random) -> None:
        while True:
            with turn:
                balance = next(balances, None)
            if balance is None:
                break
            set_balance(dice.choice(accounts), balance)
        connections.close_all()

    writers = [threading.Thread(target=write, args=(random.Random(seed),)) for seed in range(4)]
    for writer in writers:
        writer.start()
    eventually(lambda: StoredEvent.objects.count() > events * 0.2, within=300)
    for process in relays:
        if seated_process() == process.pid:
            manage.kill(process)
    relays.append(manage("relay"))
    eventually(lambda: StoredEvent.objects.count() > events * 0.5, within=300)
    eventually(seated, within=30)
    unseat()
    eventually(lambda: StoredEvent.objects.count() > events * 0.7, within=300)
    eventually(seated, within=30)
    unseat()
    for writer in writers:
        writer.join(600)
    eventually(lambda: not OutboxMessage.objects.exists(), within=120)
    published = observer.take()
    lost = events - len({event["id"] for event in published})
    doubled = len(published) - events + lost
    assert (lost, observer.inversions()) == (0, 0), f"of {events}; {doubled} were published twice"
