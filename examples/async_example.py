"""Three ways to do work in the background: the task pool alone, the queue alone, and both together.

    python examples/async_example.py

It needs no service and leaves no files: it uses a temporary database, the embedded broker and a worker in this process.
"""

import asyncio
import os
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from queue import SimpleQueue

# Your project has its own settings. This example uses Airy's, with all files in a temporary folder.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
folder = tempfile.TemporaryDirectory(prefix="airy-example-")
os.environ |= {
    "DJANGO_SETTINGS_MODULE": "airy.settings",
    "DATABASE_URL": f"sqlite:///{folder.name}/example.sqlite3",
    "AIRY_BROKER": "embedded",
    "REDIS_URL": "",
    "SECRET_KEY": "only-for-this-example-and-long-enough-for-a-production-start",
    "LOG_LEVEL": "CRITICAL",
    "GOROUTINE_POOL_SIZE": "4",
}

import django

django.setup()

from django.core.management import call_command
from django.db import connections, transaction

from events.bus import Event, emit, subscriber
from events.pool import PoolOverloadedError, TaskPool, get_pool
from events.worker import running_worker

# 1. The pool: for short work that may be lost when this process ends --------------------------------------------------


def square(number: int) -> int:
    return number * number


async def fetch(name: str) -> str:
    await asyncio.sleep(0.05)  # in real code, a request over the network
    return f"page of {name}"


def pool_alone() -> None:
    print("1. The pool alone")
    with TaskPool(3, name="example") as pool:  # at most three tasks at once; leaving the block waits for them
        print("   a function:", pool.submit(square, 12).result())
        pages = [pool.submit(fetch, name) for name in ("ada", "grace", "linus")]  # coroutines run concurrently
        print("   coroutines:", ", ".join(page.result() for page in pages))

        failed = pool.submit(square, "twelve")  # type: ignore[arg-type]
        print("   a failure stays with its task:", type(failed.exception()).__name__)

        release = threading.Event()
        for _ in range(3):
            pool.submit(release.wait)
        try:
            pool.try_submit(square, 3)  # submit() would wait until a slot is free
        except PoolOverloadedError:
            print(f"   full: {pool.running} running, {pool.free} free of {pool.capacity}")
        release.set()


# 2. The queue: for work that must not be lost and may run in another process ------------------------------------------


class OrderPlaced(Event, topic="order.placed", version=1, subject="order/{order_id}"):
    """An order was placed."""

    order_id: int


reserved: SimpleQueue[str] = SimpleQueue()


@subscriber(OrderPlaced, name="example.reserve_stock", max_retries=3, min_backoff=100)
def reserve_stock(event: OrderPlaced) -> None:
    if event.meta.attempt == 1:
        raise ConnectionError("the warehouse does not answer")  # retried after a pause
    # This function runs in a transaction. Effects outside the database wait for its commit.
    transaction.on_commit(lambda: reserved.put(f"order {event.order_id} reserved at attempt {event.meta.attempt}"))


def queue_alone() -> None:
    print("2. The queue alone")
    with transaction.atomic():  # the event is stored in the same transaction as your other changes…
        emit(OrderPlaced(order_id=1))
    try:
        with transaction.atomic():
            emit(OrderPlaced(order_id=2))
            raise ValueError("no such customer")  # …or not stored
    except ValueError as error:
        print(f"   order 2 was rolled back ({error}), so its event does not exist")
    print("  ", reserved.get(timeout=30))


# 3. Both: the queue distributes, the pool executes --------------------------------------------------------------------


class ParcelSent(Event, topic="parcel.sent", version=1, subject="parcel/{parcel_id}"):
    """A parcel was sent."""

    parcel_id: int


sent: SimpleQueue[tuple[int, int]] = SimpleQueue()


@subscriber(ParcelSent, name="example.notify_customer")
def notify_customer(event: ParcelSent) -> None:
    transaction.on_commit(partial(send_in_pool, event.parcel_id))


def send_in_pool(parcel_id: int) -> None:
    try:
        get_pool().try_submit(send_email, parcel_id)
    except PoolOverloadedError:
        # Backpressure: the worker sends it itself; meanwhile later events stay in the queue.
        send_email(parcel_id)


def send_email(parcel_id: int) -> None:
    time.sleep(0.05)  # a slow mail server
    sent.put((parcel_id, get_pool().running))


def both() -> None:
    print("3. Both together")
    with transaction.atomic():
        for parcel_id in range(1, 13):
            emit(ParcelSent(parcel_id=parcel_id))
    results = [sent.get(timeout=30) for _ in range(12)]
    print("   e-mails sent for parcels", *sorted(parcel for parcel, _ in results))
    most = max(running for _, running in results)
    answer = "yes" if most <= get_pool().capacity else f"no, {most}"
    print(f"   never more than {get_pool().capacity} tasks at once: {answer}")


def main() -> None:
    call_command("migrate", verbosity=0)
    pool_alone()
    with running_worker(threads=2):  # in production: manage.py rundramatiq, in any number of processes
        queue_alone()
        both()
    print(f"Closed in order: {get_pool().stats().completed} tasks completed, {get_pool().running} running.")


if __name__ == "__main__":
    try:
        main()
    finally:
        connections.close_all()
        folder.cleanup()
