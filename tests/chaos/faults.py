"""Faults, each at its step. A fault returns when it has happened and what it broke has been put up again."""

from __future__ import annotations

import signal
from collections.abc import Callable

from tests.chaos.breakpoints import STEPS
from tests.chaos.repair import heal
from tests.chaos.system import World

#: Every kind of fault by what it does.
FAULTS: dict[str, Callable[[World], int | None]] = {}

#: Traps in the workers' code: the subscribers of the load and the middleware around the acknowledgement.
TRAPS = (
    "effect written",
    "effect committed",
    "in the midst of a group",
    "in the midst of a batch",
    "own transaction committed",
    "before the ack",
    "after the ack",
)
#: Events that must wait in the outbox before a fault that stops the relay counts as felt.
FELT = 20


def fault(what: str) -> Callable[[Callable[[World], int | None]], Callable[[World], int | None]]:
    """Enter a fault into the catalogue."""

    def enter(function: Callable[[World], int | None]) -> Callable[[World], int | None]:
        FAULTS[what] = function
        return function

    return enter


for _step in TRAPS:
    fault(f"worker killed: {_step}")(lambda world, step=_step: world.spring(step))
for _step in STEPS:
    _who = "relay" if "delete" in _step else "worker"
    fault(f"{_who} killed: {_step}")(lambda world, step=_step: world.kill_at_gate(step) and None)


@fault("relay killed: published, not confirmed")
def kill_the_relay_unconfirmed(world: World) -> None:
    with world.node.blocked():
        _until_felt(world)
        world.kill(world.active_relay())


@fault("relay paused, its lock kept")
def pause_the_relay(world: World) -> None:
    name = world.active_relay()
    world.signal(name, signal.SIGSTOP)
    _until_felt(world)
    world.signal(name, signal.SIGCONT)


@fault("relay paused, its lock lost")
def pause_the_relay_and_end_its_sessions(world: World) -> None:
    name = world.active_relay()
    world.signal(name, signal.SIGSTOP)
    world.cluster.end_sessions(of=name)
    world.until(lambda: world.active_relay() != name, what="another relay takes over")
    world.until_it_moves_on()
    world.signal(name, signal.SIGCONT)


@fault("everything killed at once")
def kill_everything(world: World) -> None:
    for name in ("relay", "first", "second"):
        world.kill(name)


@fault("worker told to end under load")
def end_a_worker(world: World) -> None:
    before = world.restarts
    world.signal("first", signal.SIGTERM)
    world.until(lambda: world.restarts > before, what="the worker ends on SIGTERM", within=60)


@fault("broker stopped and started")
def restart_the_broker(world: World) -> None:
    world.node.stop()
    world.node.start()


@fault("broker killed")
def kill_the_broker(world: World) -> None:
    world.node.kill()
    world.node.start()


@fault("broker's disk wiped")
def wipe_the_broker(world: World) -> int:
    """The workers die with it, lest they finish from memory what the broker loses. Returns how many deliveries were
    owed anew, as far as the suite has to do that."""
    for name in ("first", "second"):
        world.kill(name)
    world.node.kill()
    world.node.wipe()
    world.node.start()
    return heal(world)


@fault("connections closed by the broker")
def close_connections(world: World) -> None:
    world.node.close_connections()


@fault("broker blocked")
def block_the_broker(world: World) -> None:
    with world.node.blocked():
        _until_felt(world)


@fault("database restarted in order")
def restart_the_database(world: World) -> None:
    world.cluster.restart("fast")


@fault("database crashed")
def crash_the_database(world: World) -> None:
    world.cluster.restart("immediate")


@fault("all database sessions ended")
def end_sessions(world: World) -> None:
    world.cluster.end_sessions()


def _until_felt(world: World) -> None:
    world.until(
        lambda: world.cluster.value("SELECT count(*) FROM events_outboxmessage WHERE subscriber = ''") >= FELT,
        what="the outbox fills",
    )
