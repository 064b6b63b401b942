"""Folding: no count is lost or counted twice, however a process ends, and whoever finds it dead."""

from __future__ import annotations

import datetime as dt
import random
import threading
import uuid
from collections.abc import Iterator

import pytest
from django.db import connection

from events import figures
from events.models import FoldedCounts, Process
from events.worker import heartbeat
from events.worker.folding import REMEMBERED, fold_dead, told_figures
from events.worker.heartbeat import Pulse
from tests.support.at_once import at_once

VISITS = ("shop_visits_total", ())
DAY = dt.timedelta(days=1, minutes=1)


class Simulated:
    """A process with counts of its own: the pulse writes what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.counts = heartbeat._Counts()
        self.visits = 0
        self.pulse = Pulse("web")
        self.pulse._name["pid"] = uuid.uuid4().int % 2**31

    def __enter__(self) -> Pulse:
        self._patch.setattr(heartbeat, "_counts", self.counts)
        self._patch.setattr(heartbeat, "counted", lambda: {VISITS: self.visits})
        self._patch.setattr(heartbeat, "gauged", dict)
        return self.pulse

    def __exit__(self, *error: object) -> None:
        pass

    def visit(self, times: int) -> None:
        self.visits += times

    def beat(self) -> None:
        with self as pulse:
            pulse.beat()

    def leave(self) -> None:
        with self as pulse:
            pulse.leave()


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[Simulated]:
    return [Simulated(monkeypatch) for _ in range(3)]


def total() -> float:
    result: figures.Values = {}
    for told in told_figures():
        result = figures.plus(result, told.counts)
    return result.get(VISITS, 0)  # type: ignore[return-value]


def silent(*, since: dt.timedelta = DAY) -> None:
    """All processes have been silent for so long."""
    for row in Process.objects.all():
        Process.objects.filter(pk=row.pk).update(beat_at=row.beat_at - since)


def dead() -> object:
    return Process.objects.outdated(kind="", host="", pid=0)


@pytest.mark.django_db
def test_what_has_ended_stays_in_the_sum(processes: list[Simulated]) -> None:
    for number, process in enumerate(processes, start=1):
        process.visit(number)
        process.beat()
    assert total() == 6
    processes[0].visit(10)  # since its last beat
    processes[0].leave()
    assert (total(), Process.objects.count()) == (16, 2)
    silent()
    assert total() == 16, "dead, and not found yet"
    fold_dead(dead())
    assert (total(), Process.objects.count()) == (16, 0)


@pytest.mark.django_db
def test_who_was_only_silent_is_counted_once(processes: list[Simulated]) -> None:
    one = processes[0]
    one.visit(5)
    one.beat()
    silent()
    fold_dead(dead())
    one.visit(2)
    assert total() == 5
    one.beat()
    assert total() == 7
    one.visit(1)
    one.beat()
    assert (total(), Process.objects.count()) == (8, 1)
    silent()
    fold_dead(dead())
    one.visit(1)
    one.leave()  # before it could beat again
    assert (total(), Process.objects.count()) == (9, 0)


@pytest.mark.django_db
def test_a_process_whose_row_a_restored_database_does_not_have_tells_all_it_knows(processes: list[Simulated]) -> None:
    one = processes[0]
    one.visit(5)
    one.beat()
    Process.objects.all().delete()
    one.beat()
    assert total() == 5


@pytest.mark.django_db
def test_a_first_row_whose_commit_was_not_answered_is_written_once(
    processes: list[Simulated], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process cannot know whether its new row is there. It was folded before, so the row has a new token."""
    one = processes[0]
    one.visit(5)
    one.beat()
    silent()
    fold_dead(dead())
    one.visit(1)
    token, base = one.pulse._token, one.counts.base
    one.beat()
    one.pulse._token, one.counts.base = token, base  # as if no answer had come
    one.visit(1)
    one.beat()
    assert (total(), Process.objects.count()) == (7, 1)


@pytest.mark.django_db
def test_only_so_many_dead_are_remembered(processes: list[Simulated]) -> None:
    for _ in range(REMEMBERED + 3):
        Process.objects.create(kind="web", pid=1, token=uuid.uuid4(), figures={"counts": {VISITS[0]: [[1]]}})
    silent()
    fold_dead(dead())
    assert (total(), len(FoldedCounts.objects.get().folded)) == (REMEMBERED + 3, REMEMBERED)


@pytest.mark.django_db(transaction=True)
def test_two_that_fold_at_once_fold_each_process_once() -> None:
    for _ in range(5):
        Process.objects.create(kind="web", pid=1, token=uuid.uuid4(), figures={"counts": {VISITS[0]: [[2]]}})
    silent()
    at_once(*[lambda: fold_dead(dead())] * 4)
    assert (total(), Process.objects.count()) == (10, 0)


@pytest.fixture
def reader() -> Iterator[list[float]]:
    """What another session reads again and again while the test runs."""
    seen: list[float] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            seen.append(total())
        connection.close()

    thread = threading.Thread(target=read)
    thread.start()
    yield seen
    over.set()
    thread.join()


@pytest.mark.django_db(transaction=True)
def test_no_reader_sees_the_sum_fall(processes: list[Simulated], reader: list[float]) -> None:
    dice = random.Random(7)
    for _ in range(60):
        process = dice.choice(processes)
        process.visit(1)
        match dice.randrange(4):
            case 0:
                process.leave()
            case 1:
                silent()
                fold_dead(dead())
                process.beat()
            case _:
                process.beat()
    for process in processes:
        process.beat()
    assert total() == 60
    assert len(reader) > 1
    assert reader == sorted(reader)
