"""From the commit to the start of the subscriber, through outbox, relay and RabbitMQ, beside a direct dramatiq send
without confirm after the same commit to a stock actor. Both workers run; the arms take turns in blocks of 5 s.

    python -m benchmarks.latency [--rounds 6] [--rate 50]
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.services import own_place

BLOCK = 5.0
THREADS = "8"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--rate", type=int, default=50)
    options = arguments.parse_args()
    clock = Clock()
    environment = {"DJANGO_SETTINGS_MODULE": "benchmarks.settings", "AIRY_BENCH_CLOCK": str(clock.port)}
    with own_place("airy_bench_latency", **environment), workers():
        measure(clock, options.rounds, options.rate)


class Clock:
    """Receives when each number's work began."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.began: dict[int, int] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            number, nanoseconds = self._socket.recv(100).split()
            self.began.setdefault(int(number), int(nanoseconds))


@contextmanager
def workers() -> Iterator[None]:
    """Ours, with its relay, and the stock one."""
    commands = (
        (sys.executable, "manage.py", "rundramatiq", "--processes", "1", "--threads", THREADS),
        (
            sys.executable,
            "-m",
            "dramatiq",
            "benchmarks.plain_dramatiq:broker",
            "--processes",
            "1",
            "--threads",
            THREADS,
        ),
    )
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)


def measure(clock: Clock, rounds: int, rate: int) -> None:
    from django.db import connection, transaction

    from benchmarks.plain_dramatiq import broker, hear
    from benchmarks.start_time.events import Struck
    from events.bus import emit

    def emitted(number: int) -> int:
        with transaction.atomic():
            emit(Struck(number=number))
        return time.monotonic_ns()

    def sent(number: int) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        committed = time.monotonic_ns()
        hear.send(number)
        return committed

    numbers = iter(range(1, 10**9))

    def block(strike: Callable[[int], int], seconds: float, *, patience: float = 30.0) -> list[float]:
        committed: dict[int, int] = {}
        started = time.perf_counter()
        for turn in range(int(rate * seconds)):
            time.sleep(max(0.0, started + turn / rate - time.perf_counter()))
            number = next(numbers)
            committed[number] = strike(number)
        deadline = time.monotonic() + patience
        while not committed.keys() <= clock.began.keys():
            if time.monotonic() > deadline:
                raise SystemExit(f"{strike.__name__}: not all began within {patience:.0f} s")
            time.sleep(0.01)
        return [(clock.began[number] - nanoseconds) / 1e6 for number, nanoseconds in committed.items()]

    for arm in (emitted, sent):
        block(arm, 1 / rate, patience=180)  # its worker is up
        block(arm, 1.0)
    taken: dict[str, list[float]] = {"emitted": [], "sent": []}
    for turn in range(rounds):
        for arm in (emitted, sent) if turn % 2 else (sent, emitted):
            taken[arm.__name__] += block(arm, BLOCK)
    broker.close()
    points = {name: (statistics.median(values), percentile(values, 99)) for name, values in taken.items()}
    for name, (half, most) in points.items():
        print(f"{name:8} p50 {half:7.2f} ms   p99 {most:7.2f} ms   of {len(taken[name])}")
    print(f"p50 emitted / sent: {points['emitted'][0] / points['sent'][0]:.2f} (at most 2.5; aim 1.5)")
    print(f"p99 emitted / sent: {points['emitted'][1] / points['sent'][1]:.2f} (at most 4; aim 1.5)")


def percentile(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    main()
