"""Chores: done by the process of the active relay, each for itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import dramatiq
import pytest

import events.worker.services
from events import chores
from events.bus import chore
from events.worker.services import WorkerServices

Eventually = Callable[..., None]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in order: a chore that fails, then one that does not."""
    names: list[str] = []
    monkeypatch.setattr(chores, "chores", {})

    @chore
    def fails() -> None:
        names.append("fails")
        raise ValueError("as it is told to")

    @chore
    def works() -> None:
        names.append("works")

    return names


def test_one_that_fails_keeps_no_other_from_being_done(done: list[str]) -> None:
    chores.Timetable().do_due()
    assert done == ["fails", "works"]


def test_they_are_done_again_after_the_interval_and_not_before(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    timetable = chores.Timetable()
    for _ in range(3):
        timetable.do_due()
    assert len(done) == 2
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + chores.INTERVAL)
    timetable.do_due()
    assert len(done) == 4


@pytest.mark.home
@pytest.mark.django_db(transaction=True)
def test_the_process_of_the_active_relay_does_them(
    done: list[str], monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(events.worker.services, "RECONCILE_INTERVAL", 0.1)
    services = WorkerServices(dramatiq.get_broker())
    services.start()
    try:
        eventually(lambda: done == ["fails", "works"], within=60)
    finally:
        services.stop()
