"""Faults under load: whatever is killed, stopped, cut or wiped, no effect is lost and none happens twice."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest

from tests.chaos.audit import audit, committed_by_writers, still_open
from tests.chaos.faults import FAULTS
from tests.chaos.load.topics import HEARS
from tests.chaos.report import Figures, Report
from tests.chaos.system import World

pytestmark = [pytest.mark.postgres, pytest.mark.rabbitmq]

SEED = 20_261_125


def schedule(count: int) -> list[str]:
    """So many faults: every kind once before any comes again, each time in another order."""
    dice, kinds = random.Random(SEED), sorted(FAULTS)
    rounds = -(-count // len(kinds))
    return [kind for _ in range(rounds) for kind in dice.sample(kinds, len(kinds))][:count]


def disturb(world: World, kinds: Sequence[str], *, rate: float, events: int) -> Report:
    """Let writers write and workers work while fault follows fault, until so many events are written."""
    report = Report()
    world.keep("relay", "manage.py", "relay")
    world.worker("first")
    world.worker("second")
    announced = "SELECT count(*) FROM events_subscription WHERE name = ANY(%s)"
    world.until(lambda: world.cluster.value(announced, list(HEARS)) == len(HEARS), what="subscribers are announced")
    writers = [f"writer_{number}" for number in (1, 2)]
    for number, name in enumerate(writers, 1):
        world.keep(name, "-m", "tests.chaos.load.writer", str(number), str(rate / 2), str(world.folder))
    world.until_it_moves_on()
    for kind in kinds:
        before, started = Figures.of(world), time.monotonic()
        report.healed[kind] += FAULTS[kind](world) or 0
        world.until_it_moves_on()
        seconds = time.monotonic() - started
        report.enter(kind, before, Figures.of(world), seconds)
        print(f"{seconds:6.1f} s  {kind}", flush=True)  # noqa: T201
    world.until(
        lambda: world.cluster.value("SELECT count(*) FROM events_storedevent") >= events,
        what=f"{events} events are written",
        within=1800,
    )
    world.release(*writers)
    settle(world)
    world.release("relay", "first", "second")
    return report


def settle(world: World) -> None:
    """Wait until every delivery has its outcome."""
    world.until(lambda: still_open(world) == 0, what="every delivery has its outcome", within=300)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("faults", "rate", "events"),
    [(len(FAULTS), 20, 300), pytest.param(34, 120, 20_000, marks=pytest.mark.slow)],
)
def test_no_fault_loses_or_doubles_an_effect(world: World, faults: int, rate: float, events: int) -> None:
    kinds = schedule(faults)
    world.in_a_hurry = events < 1_000
    started = time.monotonic()
    report = disturb(world, kinds, rate=rate, events=events)
    findings = audit(world, committed=committed_by_writers(world))
    title = f"chaos: {len(kinds)} faults, seed {SEED}, {time.monotonic() - started:.0f} s, {world.restarts} restarts"
    print(report.show(findings, title=title))  # noqa: T201
    assert findings.wrong == []
    assert findings.events >= events
