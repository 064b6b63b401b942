"""Time from the commit to the start of the subscriber. Two ways are compared: an event through outbox, relay and
RabbitMQ ("emitted"), and a message sent to a plain dramatiq actor after the commit, without publisher confirm
("sent"). Both workers run all the time; the two ways take turns in blocks of 5 s. Prints the 50th and 99th percentile
of both, in milliseconds, and their ratios.

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

from benchmarks.services import temporary_services

#: Seconds of one block.
BLOCK = 5.0
#: Threads of each worker.
THREADS = "8"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--rate", type=int, default=50, help="events or messages per second")
    options = arguments.parse_args()
    start_times = StartTimes()
    environment = {"DJANGO_SETTINGS_MODULE": "benchmarks.settings", "AIRY_BENCH_CLOCK": str(start_times.port)}
    with temporary_services("airy_bench_latency", **environment), workers():
        measure(start_times, options.rounds, options.rate)


class StartTimes:
    """Receives the start time of each number from both workers."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        #: Number to nanoseconds of the monotonic clock.
        self.by_number: dict[int, int] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            number, nanoseconds = self._socket.recv(100).split()
            self.by_number.setdefault(int(number), int(nanoseconds))


@contextmanager
def workers() -> Iterator[None]:
    """Airy's worker with its relay, and a plain dramatiq worker."""
    plain_dramatiq = "benchmarks.plain_dramatiq:broker"
    commands = (
        (sys.executable, "manage.py", "rundramatiq", "--processes", "1", "--threads", THREADS),
        (sys.executable, "-m", "dramatiq", plain_dramatiq, "--processes", "1", "--threads", THREADS),
    )
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)


def measure(start_times: StartTimes, rounds: int, rate: int) -> None:
    from django.db import connection, transaction

    from benchmarks.plain_dramatiq import broker, report_start
    from benchmarks.start_time.events import Measured
    from events.bus import emit

    def emitted(number: int) -> int:
        with transaction.atomic():
            emit(Measured(number=number))
        return time.monotonic_ns()

    def sent(number: int) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        committed = time.monotonic_ns()
        report_start.send(number)
        return committed

    numbers = iter(range(1, 10**9))

    def block(send: Callable[[int], int], seconds: float, *, timeout: float = 30.0) -> list[float]:
        """Send at the given rate for some seconds; gives each latency in milliseconds."""
        committed: dict[int, int] = {}
        started = time.perf_counter()
        for turn in range(int(rate * seconds)):
            time.sleep(max(0.0, started + turn / rate - time.perf_counter()))
            number = next(numbers)
            committed[number] = send(number)
        deadline = time.monotonic() + timeout
        while not committed.keys() <= start_times.by_number.keys():
            if time.monotonic() > deadline:
                raise SystemExit(f"{send.__name__}: not all were started within {timeout:.0f} s")
            time.sleep(0.01)
        return [(start_times.by_number[number] - nanoseconds) / 1e6 for number, nanoseconds in committed.items()]

    for send in (emitted, sent):
        block(send, 1 / rate, timeout=180)  # one message: waits until its worker has started
        block(send, 1.0)
    latencies: dict[str, list[float]] = {"emitted": [], "sent": []}
    for turn in range(rounds):
        for send in (emitted, sent) if turn % 2 else (sent, emitted):
            latencies[send.__name__] += block(send, BLOCK)
    broker.close()
    points = {name: (statistics.median(values), percentile(values, 99)) for name, values in latencies.items()}
    for name, (p50, p99) in points.items():
        print(f"{name:8} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   of {len(latencies[name])}")
    print(f"p50 emitted / sent: {points['emitted'][0] / points['sent'][0]:.2f} (at most 2.5; aim 1.5)")
    print(f"p99 emitted / sent: {points['emitted'][1] / points['sent'][1]:.2f} (at most 4; aim 1.5)")


def percentile(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    main()
