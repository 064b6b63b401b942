"""Tasks: what each process of a supervisor does, from its start to its end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from pathlib import Path

import dramatiq
from dramatiq.worker import Worker

from .. import tracing
from ..brokers.contract import EventBroker
from ..logger import get_logger
from .ready import say_when_ready
from .services import HostServices, WorkerServices, close_pools
from .signals import Signals
from .supervisor import Task
from .watch import watch

log = get_logger("events.worker")


def tasks(
    broker: EventBroker,
    *,
    processes: int,
    threads: int,
    queues: Iterable[str],
    timeout: float,
    forks: Iterable[str] = (),
    watched: Path | None = None,
    supervisor: int,
) -> dict[str, Task]:
    """The task of each process, by its name: the relay, the workers and, where asked for, functions and a watch.

    A broker that keeps its messages in the process has no use for a relay elsewhere: there each worker has one.
    """
    worker = partial(run_worker, threads=threads, queues=queues, timeout=timeout, relay=broker.in_process)
    found: dict[str, Task] = {} if broker.in_process else {"relay": partial(run_relay, broker=broker)}
    found |= {f"worker {number}": worker for number in range(1, processes + 1)}
    of_middleware = [f"{fork.__module__}:{fork.__name__}" for one in broker.middleware for fork in one.forks]
    found |= {f"function {path}": partial(run_function, path=path) for path in (*forks, *of_middleware)}
    if watched:
        found["watch"] = partial(watch, folder=watched, supervisor=supervisor)
    return found


def run_worker(signals: Signals, *, threads: int, queues: Iterable[str], timeout: float, relay: bool) -> int:
    """Run dramatiq's worker until told to end.

    queues: those to listen to; without any, all.
    timeout: seconds that running deliveries get to finish.
    relay: whether the process runs a relay, too.
    """
    tracing.begin("worker")
    broker = dramatiq.get_broker()
    for middleware in broker.middleware:
        if isinstance(middleware, HostServices):
            middleware.relay = relay
    broker.emit_after("process_boot")
    worker = Worker(broker, queues=set(queues), worker_threads=threads)
    worker.start()
    say_when_ready(worker, broker)
    signals.wait()
    worker.stop(timeout=int(timeout * 1000))
    broker.close()
    tracing.end()
    log.info("worker stopped")
    return 0


def run_relay(signals: Signals, broker: EventBroker) -> int:
    """Run the relay, and reconcile beside it, until told to end."""
    tracing.begin("relay")
    services = WorkerServices(broker, kind="relay")
    services.start()
    log.info("relay ready")
    signals.wait()
    services.stop()
    broker.close()
    close_pools()
    tracing.end()
    log.info("relay stopped")
    return 0


def run_function(signals: Signals, *, path: str) -> int:
    """Run a function, as dramatiq's --fork-function does; SIGTERM interrupts it. It is not called again when it
    returns, but when it fails."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    module, _, name = path.partition(":")
    code = getattr(import_module(module), name)()
    if not code:
        signals.wait()
    return code or 0
