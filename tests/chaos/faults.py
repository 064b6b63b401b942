"""Faults, each at its step. A fault returns when it has happened and what it broke has been put up again."""

from __future__ import annotations

import signal
from collections.abc import Callable

from tests.chaos.breakpoints import STEPS
from tests.chaos.repair import repair
from tests.chaos.system import System

#: Every kind of fault by what it does.
FAULTS: dict[str, Callable[[System], int | None]] = {}

#: Crash points in the workers' code: the subscribers of the load and the middleware around the acknowledgement.
CRASH_POINTS = (
    "effect written",
    "effect committed",
    "in the midst of a group",
    "in the midst of a batch",
    "own transaction committed",
    "before the ack",
    "after the ack",
)
#: Events that must wait in the outbox before a fault that stops the relay has an effect.
WAITING = 20


def fault(what: str) -> Callable[[Callable[[System], int | None]], Callable[[System], int | None]]:
    """Enter a fault into the catalogue."""

    def enter(function: Callable[[System], int | None]) -> Callable[[System], int | None]:
        FAULTS[what] = function
        return function

    return enter


for _step in CRASH_POINTS:
    fault(f"worker killed: {_step}")(lambda system, step=_step: system.crash_at(step))
for _step in STEPS:
    _who = "relay" if "delete" in _step else "worker"
    fault(f"{_who} killed: {_step}")(lambda system, step=_step: system.kill_at_breakpoint(step) and None)


@fault("relay killed: published, not confirmed")
def kill_the_relay_unconfirmed(system: System) -> None:
    with system.node.blocked():
        _until_events_wait(system)
        system.kill(system.active_relay())


@fault("relay paused, its lock kept")
def pause_the_relay(system: System) -> None:
    name = system.active_relay()
    system.signal(name, signal.SIGSTOP)
    _until_events_wait(system)
    system.signal(name, signal.SIGCONT)


@fault("relay paused, its lock lost")
def pause_the_relay_and_end_its_sessions(system: System) -> None:
    name = system.active_relay()
    system.signal(name, signal.SIGSTOP)
    system.cluster.end_sessions(of=name)
    system.until(lambda: system.active_relay() != name, what="another relay takes over")
    system.until_it_moves_on()
    system.signal(name, signal.SIGCONT)


@fault("everything killed at once")
def kill_everything(system: System) -> None:
    for name in ("relay", "first", "second"):
        system.kill(name)


@fault("worker told to end under load")
def end_a_worker(system: System) -> None:
    before = system.restarts
    system.signal("first", signal.SIGTERM)
    system.until(lambda: system.restarts > before, what="the worker ends on SIGTERM", within=60)


@fault("broker stopped and started")
def restart_the_broker(system: System) -> None:
    system.node.stop()
    system.node.start()


@fault("broker killed")
def kill_the_broker(system: System) -> None:
    system.node.kill()
    system.node.start()


@fault("broker's disk wiped")
def wipe_the_broker(system: System) -> int:
    """The workers die with it, lest they finish from memory what the broker loses. Returns the number of
    deliveries that the suite itself sent again."""
    for name in ("first", "second"):
        system.kill(name)
    system.node.kill()
    system.node.wipe()
    system.node.start()
    return repair(system)


@fault("connections closed by the broker")
def close_connections(system: System) -> None:
    system.node.close_connections()


@fault("broker blocked")
def block_the_broker(system: System) -> None:
    with system.node.blocked():
        _until_events_wait(system)


@fault("database restarted in order")
def restart_the_database(system: System) -> None:
    system.cluster.restart("fast")


@fault("database crashed")
def crash_the_database(system: System) -> None:
    system.cluster.restart("immediate")


@fault("all database sessions ended")
def end_sessions(system: System) -> None:
    system.cluster.end_sessions()


def _until_events_wait(system: System) -> None:
    system.until(
        lambda: system.cluster.value("SELECT count(*) FROM events_outboxmessage WHERE subscriber = ''") >= WAITING,
        what="the outbox fills",
    )
