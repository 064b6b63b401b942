"""Faults, each at its step. A fault returns when it has happened and what it broke has been put up again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.chaos.breakpoints import STEPS, set_breakpoint
from tests.chaos.load.crash_points import HANG, crash_point, hanging, wanted_mood
from tests.chaos.repair import repair
from tests.chaos.system import System

#: Every kind of fault by what it does.
FAULTS: dict[str, Callable[[System], int | None]] = {}

#: Left out where time is short. Other kinds have a part of each: a wiped broker was killed before, and the large event
#: that was refused goes in the end.
LEFT_TO_THE_FULL_SIZE = {"broker killed", "events of 4 MB"}
#: A quorum queue is not full while a consumer takes each message at once.
OF_CLASSIC_QUEUES = {"queue full"}

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
#: Bytes that the broker takes of one message while it refuses larger ones, and otherwise.
SMALL, USUAL = 1_000_000, 128 * 1024 * 1024
#: What shows that the other processes carry on: a subscriber whose transactions wait for no row of another's.
INDEPENDENT = ("load.grouped",)


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


@fault("relay paused for a moment")
def pause_the_relay(system: System) -> None:
    name = system.active_relay()
    system.signal(name, signal.SIGSTOP)
    _until_events_wait(system)
    system.signal(name, signal.SIGCONT)


@fault("relay paused, its sessions ended")
def pause_the_relay_and_end_its_sessions(system: System) -> None:
    name = system.active_relay()
    system.signal(name, signal.SIGSTOP)
    system.cluster.end_sessions(of=name)
    system.until(lambda: system.active_relay() != name, what="another relay takes over")
    system.until_it_moves_on()
    system.signal(name, signal.SIGCONT)


@fault("relay's process frozen")
def freeze_the_relay(system: System) -> None:
    """For longer than its lease, and beside a supervisor that runs."""
    with frozen(system.relay_process()):
        _until_another_leads(system)
        system.until_it_moves_on()


@fault("relay's database session frozen")
def freeze_the_session_of_the_relay(system: System) -> None:
    """It is stopped where it waits for the suite's lock: one that holds a lock of the server's own stops the server."""
    with set_breakpoint(system.cluster, "between confirm and delete") as one:
        caught: list[int] = []
        system.until(lambda: caught.append(one.waiting_session() or 0) or caught[-1], what="the relay deletes")
        os.kill(caught[-1], signal.SIGSTOP)
    try:
        _until_another_leads(system)
        system.until_it_moves_on()
    finally:
        with suppress(ProcessLookupError):
            os.kill(caught[-1], signal.SIGCONT)


@fault("worker frozen")
def freeze_a_worker(system: System) -> None:
    system.worker_process("second")
    with frozen(system.worker_process("first")):
        system.until_it_moves_on(names=INDEPENDENT)
        _for_a_while(system)


@fault("worker held up by one subscriber")
def hold_the_interpreter(system: System) -> None:
    """A subscriber keeps the interpreter's lock: no other thread of the process runs, until an operator kills it."""
    for name in ("first", "second"):
        system.worker_process(name)
    found = hanging(system.folder)
    found.unlink(missing_ok=True)
    crash_point(system.folder, HANG).touch()
    _order(system, "stuck")
    system.until(found.exists, what="a subscriber hangs")
    process, number = map(int, found.read_text().split())
    sequence = "SELECT sequence FROM events_storedevent WHERE topic = 'clock.struck' AND (data->>'number')::int = %s"
    system.until_it_moves_on(names=INDEPENDENT, since=system.cluster.value(sequence, number))
    _for_a_while(system)
    os.kill(process, signal.SIGKILL)


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


@fault("queue full")
def fill_a_queue(system: System) -> None:
    with system.node.full("airy.load.batched"):
        owed = "SELECT count(*) FROM events_outboxmessage WHERE subscriber = 'load.batched' AND due IS NOT NULL"
        system.until(lambda: system.cluster.value(owed) >= WAITING, what="what is refused waits")


@fault("message refused")
def refuse_a_message(system: System) -> None:
    large = "SELECT count(*) FROM events_outboxmessage WHERE size > %s"
    system.node.take_at_most(SMALL)
    try:
        before = system.logged("is too large for RabbitMQ")
        _order(system, "large")
        system.until(lambda: system.logged("is too large for RabbitMQ") > before, what="the relay says why")
        system.until_it_moves_on()
        assert system.cluster.value(large, SMALL) > 0, "the large event waits"
    finally:
        system.node.take_at_most(USUAL)
    system.until(lambda: system.cluster.value(large, SMALL) == 0, what="the large event goes")


@fault("events of 4 MB")
def emit_large_events(system: System) -> None:
    for _ in range(3):
        _order(system, "large")


@fault("connections limited")
def limit_connections(system: System) -> None:
    """One process gets in, the others do not."""
    before = system.logged("set_vhost_limits")
    with system.node.limited(connections=1):
        system.node.close_connections()
        system.until(lambda: system.logged("set_vhost_limits") > before, what="a process says what is in its way")


@fault("database read-only")
def forbid_writing(system: System) -> None:
    before = system.logged("read-only transaction")
    with system.cluster.read_only():
        system.until(lambda: system.logged("read-only transaction") > before, what="a process meets it")
        _for_a_while(system)


@fault("database restarted with its sessions pooled")
def restart_the_database(system: System) -> None:
    """In order. A session that has been idle and was opened long before is the pool's."""
    pooled = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = ANY(%s) AND state = 'idle'"
        " AND query NOT LIKE 'LISTEN%%' AND backend_start < now() - interval '1 second'"
    )
    workers = ["first", "second"]
    system.until(lambda: system.cluster.value(pooled, workers) >= 2, what="sessions are pooled")
    system.cluster.restart("fast")


@fault("database crashed")
def crash_the_database(system: System) -> None:
    system.cluster.restart("immediate")


@fault("all database sessions ended")
def end_sessions(system: System) -> None:
    system.cluster.end_sessions()


@contextmanager
def frozen(process: int) -> Iterator[None]:
    """A process that neither runs nor ends."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def _until_another_leads(system: System) -> None:
    term = "SELECT coalesce(max(number), 0) FROM events_relayterm WHERE expires_at > now()"
    last = system.cluster.value("SELECT max(number) FROM events_relayterm")
    system.until(lambda: system.cluster.value(term) > last, what="another relay leads")


def _for_a_while(system: System) -> None:
    """Let a fault last: longer than any lease, and where there is time longer than any heartbeat may be silent."""
    end = time.monotonic() + (3 if system.in_a_hurry else 20)
    system.until(lambda: time.monotonic() > end, what="time passes")


def _order(system: System, mood: str) -> None:
    """Have a writer emit an event of this mood."""
    order = wanted_mood(system.folder, mood)
    order.touch()
    system.until(lambda: not order.exists(), what=f"an event is {mood}")


def _until_events_wait(system: System) -> None:
    system.until(
        lambda: system.cluster.value("SELECT count(*) FROM events_outboxmessage WHERE subscriber = ''") >= WAITING,
        what="the outbox fills",
    )
