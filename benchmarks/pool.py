"""The task pool beside ThreadPoolExecutor, run_coroutine_threadsafe and bare asyncio.

    python -m benchmarks.pool [--quick]

The two sides of a comparison take turns. Prints the median time of each in seconds and the ratio of the speeds; on a
shared machine only the ratios are reliable. Prints at last the growth of the memory in MB while the pool is full.
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from events.pool import PoolOverloadedError, TaskPool

#: Worker threads of both sides.
THREADS = 64
#: Most tasks at once.
SIZE = 10_000


def do_nothing() -> None:
    pass


async def do_nothing_async() -> None:
    pass


def functions_in_taskpool(tasks: int) -> None:
    with TaskPool(SIZE, max_threads=THREADS) as pool:
        for _ in range(tasks):
            pool.submit(do_nothing)


def functions_in_thread_pool_executor(tasks: int) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(tasks):
            pool.submit(do_nothing)


def coroutines_in_taskpool(tasks: int) -> None:
    with TaskPool(SIZE) as pool:
        for _ in range(tasks):
            pool.submit(do_nothing_async)


def coroutines_by_run_coroutine_threadsafe(tasks: int) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    slots = threading.Semaphore(SIZE)
    last = None
    for _ in range(tasks):
        slots.acquire()
        last = asyncio.run_coroutine_threadsafe(do_nothing_async(), loop)
        last.add_done_callback(lambda _: slots.release())
    last.result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def sleeps_in_taskpool(tasks: int) -> None:
    with TaskPool(SIZE) as pool:
        for _ in range(tasks):
            pool.submit(asyncio.sleep, 0.01)


def sleeps_in_bare_asyncio(tasks: int) -> None:
    async def main() -> None:
        await asyncio.gather(*(asyncio.sleep(0.01) for _ in range(tasks)))

    asyncio.run(main())


def memory_growth(refused: int, blocked: int) -> float:
    """Growth of the process in MB while a full pool refuses some tasks and lets some submitters wait."""
    release = threading.Event()
    start = threading.Event()
    pool = TaskPool(8, idle_timeout=None)
    for _ in range(8):
        pool.submit(release.wait)

    def submit() -> None:
        start.wait()
        pool.submit(do_nothing)

    submitters = [threading.Thread(target=submit) for _ in range(blocked)]
    for submitter in submitters:
        submitter.start()
    before = resident_memory()
    start.set()
    for _ in range(refused):
        try:
            pool.try_submit(do_nothing)
        except PoolOverloadedError:
            continue
    while pool.waiting < blocked:
        time.sleep(0.01)
    growth = resident_memory() - before
    release.set()
    for submitter in submitters:
        submitter.join()
    pool.close()
    return growth


def resident_memory() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def compare(title: str, ours: Callable[[int], None], peer: Callable[[int], None], *, tasks: int, rounds: int) -> None:
    """Print the median times, and the speed of the pool relative to the peer: the median and each round."""
    seconds: dict[Callable[[int], None], list[float]] = {ours: [], peer: []}
    for i in range(rounds):
        for side in (ours, peer) if i % 2 else (peer, ours):
            began = time.perf_counter()
            side(tasks)
            seconds[side].append(time.perf_counter() - began)
    ratios = [peer_time / our_time for our_time, peer_time in zip(seconds[ours], seconds[peer], strict=True)]
    print(title)
    print(
        f"    pool {median(seconds[ours]):.3f} s, peer {median(seconds[peer]):.3f} s, speed {median(ratios):.2f}x;",
        "rounds:",
        *(f"{ratio:.2f}" for ratio in ratios),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer tasks and rounds")
    parser.add_argument("--stalled", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stalled:
        refused = 100_000 if options.quick else 1_000_000
        growth = memory_growth(refused, 1_000)
        print(f"{refused:,} refused tasks, 1,000 blocked submitters, busy workers: {growth:.1f} MB (aim < 10 MB)")
        return
    tasks, rounds = (10_000, 3) if options.quick else (50_000, 7)
    compare(
        f"{tasks:,} functions vs ThreadPoolExecutor, {THREADS} threads (aim 0.95x)",
        functions_in_taskpool,
        functions_in_thread_pool_executor,
        tasks=tasks,
        rounds=rounds,
    )
    compare(
        f"{tasks:,} coroutines vs run_coroutine_threadsafe + semaphore (aim 1.7x)",
        coroutines_in_taskpool,
        coroutines_by_run_coroutine_threadsafe,
        tasks=tasks,
        rounds=rounds,
    )
    compare(
        "10,000 coroutines of 10 ms vs bare asyncio, without a limit (aim 0.4x)",
        sleeps_in_taskpool,
        sleeps_in_bare_asyncio,
        tasks=10_000,
        rounds=rounds,
    )
    # In a process of its own: memory freed by the rounds before would hide the growth.
    subprocess.run([sys.executable, __file__, "--stalled", *(["--quick"] if options.quick else [])], check=True)


if __name__ == "__main__":
    main()
