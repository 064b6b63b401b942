"""Intake: who hands out what arrives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from events.brokers.amqp.intake import Intake, Taken
from events.brokers.embedded import EmbeddedBroker
from events.brokers.share import UNLIMITED, Unlimited
from events.inbox.message import ReceivedMessage
from tests.support.broker_case import only, working

Eventually = Callable[..., None]

CHANNEL: Any = SimpleNamespace(is_consuming=True)


class Taking:
    """A thread that calls `take` once."""

    def __init__(self, intake: Intake, *, limit: int = 10, share: Unlimited = UNLIMITED, timeout: float = 30) -> None:
        self.past: list[tuple[str, Taken]] = []
        self._taken: Future[Taken] = Future()

        def hand_out(taken: Taken) -> None:
            self.past.append((threading.current_thread().name, taken))

        def take() -> None:
            self._taken.set_result(intake.take(limit, timeout=timeout, share=share, hand_out=hand_out))

        threading.Thread(target=take, name="taker", daemon=True).start()
        deadline = time.monotonic() + 30
        while not intake.is_waited_for and time.monotonic() < deadline:
            with suppress(TimeoutError):
                self._taken.result(0.001)

    def result(self) -> list[bytes]:
        return [message.body for message in self._taken.result(30).messages]


def arrive(intake: Intake, *bodies: bytes) -> None:
    for body in bodies:
        intake.put(ReceivedMessage(envelope=None, body=body))
    intake.announce()


@pytest.fixture
def intake() -> Intake:
    intake = Intake()
    intake.begin(CHANNEL)
    return intake


def test_what_arrives_together_is_handed_out_by_the_thread_that_received_it(intake: Intake) -> None:
    taking = Taking(intake, timeout=1)
    arrive(intake, b"1", b"2")
    assert [(thread, [one.body for one in taken.messages]) for thread, taken in taking.past] == [
        (threading.current_thread().name, [b"1", b"2"])
    ]
    assert taking.past[0][1].channel is CHANNEL
    assert taking.result() == []


def test_while_others_are_worked_on_the_taker_waits_for_more_of_the_group(intake: Intake) -> None:
    taking = Taking(intake)
    arrive(intake, b"1")
    arrive(intake, b"2")
    assert taking.result() == [b"2"]
    assert len(taking.past) == 1


def test_a_taker_that_may_take_none_is_handed_none(intake: Intake) -> None:
    taking = Taking(intake, limit=0, timeout=0.2)
    arrive(intake, b"1")
    assert taking.result() == []
    assert taking.past == []


def test_what_the_share_refuses_waits_until_it_is_woken(intake: Intake) -> None:
    class Refusing(Unlimited):
        allowed = 0

        def may_enter(self) -> bool:
            return bool(self.allowed)

        def enter(self) -> int:
            return self.allowed

    share = Refusing()
    taking = Taking(intake, share=share)
    arrive(intake, b"1")
    assert taking.past == []
    share.allowed = 1
    intake.wake()
    assert taking.result() == [b"1"]


def test_only_the_consumer_that_the_worker_runs_has_the_worker_s_queue(eventually: Eventually) -> None:
    broker = EmbeddedBroker()
    with only(broker, lambda event: None) as subscription, working(broker) as worker:
        eventually(lambda: worker.consumers[subscription.queue].consumer is not None)
        thread = worker.consumers[subscription.queue]
        assert broker.share.worker_queue(subscription.queue, thread.consumer) == thread.handle_message
        assert broker.share.worker_queue(subscription.queue, broker.consume(subscription.queue)) is None
        assert broker.share.worker_queue("unknown", thread.consumer) is None
