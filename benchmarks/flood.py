"""One anonymous address at full speed, the limits on: what the others notice, with Redis and after it was killed.

Starts `uvicorn airy.asgi:application` on a database, a vhost and a Redis of its own. People, each at an address of
their own, open pages and ask the API at a steady pace. The flooding address searches, in a process of its own, with as
many connections as given, as fast as it is answered. Quiet and flooded phases take turns; in the last one Redis is
killed halfway. Prints the people's median times in milliseconds, the ratios to the quiet phase before, all statuses,
and the number of answers of 500 and above. The flood takes processor time of the same machine, which the ratios
contain.

    python -m benchmarks.flood [--seconds 60] [--rounds 1] [--connections 20]
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Process, Queue

from benchmarks.ratio import print_ratio
from benchmarks.search import Texts, fill
from benchmarks.services import temporary_services

NAME = "airy_bench_flood"
POSTS = 2_000
#: People, and the seconds between two requests of one.
PEOPLE, PAUSE = 8, 0.5
FLOOD = "203.0.113.66"

Times = list[float]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=15, help="of each phase")
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--connections", type=int, default=20, help="of the flooding address")
    options = arguments.parse_args()
    with running_redis() as (redis, url):
        more = {"REDIS_URL": url, "REDIS_PREFIX": NAME, "RATE_LIMITS": "on", "TRUSTED_PROXIES": "127.0.0.1"}
        with temporary_services(NAME, ALLOWED_HOSTS="127.0.0.1", **more):
            fill(POSTS)
            with running_server() as port:
                measure(port, redis, options)


def measure(port: int, redis: subprocess.Popen[bytes], options: argparse.Namespace) -> None:
    """Run the phases and print what they say."""
    words = Texts(0).words[:50]
    quiet: list[float] = []
    flooded: list[float] = []
    phase(port, words, seconds=2)  # warm up
    for _ in range(options.rounds):
        quiet.append(report("quiet", *phase(port, words, seconds=options.seconds)))
        flooded.append(report("flooded", *phase(port, words, seconds=options.seconds, flood=options.connections)))
    killer = threading.Timer(options.seconds / 2, redis.send_signal, [signal.SIGKILL])
    killer.start()
    lost = phase(port, words, seconds=options.seconds, flood=options.connections)
    without = report("flooded, Redis killed halfway", *lost)
    print_ratio("people's median, flooded to quiet", flooded, quiet, "at most 2")
    print_ratio("people's median, Redis killed to quiet", [without], quiet[-1:], "at most 2")
    print(f"readyz without Redis: {get(connection(port), '/readyz', '192.0.2.1')[1]}")


def phase(port: int, words: list[str], *, seconds: float, flood: int = 0) -> tuple[Times, Counter[int], Counter[int]]:
    """The people's times, their statuses, and those of the flooding address."""
    times: Times = []
    statuses: Counter[int] = Counter()
    until = time.monotonic() + seconds
    people = [
        threading.Thread(target=person, args=(port, number, words, until, times, statuses)) for number in range(PEOPLE)
    ]
    said: Queue[Counter[int]] = Queue()
    flooder = Process(target=flood_from, args=(port, words, seconds, flood, said)) if flood else None
    if flooder is not None:
        flooder.start()
    for one in people:
        one.start()
    for one in people:
        one.join()
    flooding: Counter[int] = Counter()
    if flooder is not None:
        flooding = said.get(timeout=60)
        flooder.join()
    return times, statuses, flooding


def report(name: str, times: Times, statuses: Counter[int], flooding: Counter[int]) -> float:
    """Print a phase; returns the median time."""
    median = statistics.median(times) * 1000
    worst = statistics.quantiles(times, n=20)[-1] * 1000
    errors = sum(count for all_of in (statuses, flooding) for status, count in all_of.items() if status >= 500)
    print(
        f"{name}: people {median:.1f} ms (19 of 20 within {worst:.1f}), {dict(statuses)};"
        f" the flood {dict(flooding)}; 5xx: {errors}",
        flush=True,
    )
    return median


def person(port: int, number: int, words: list[str], until: float, times: Times, statuses: Counter[int]) -> None:
    """One visitor at a steady pace, who does not ask more while the answers are slow."""
    rng = random.Random(number)
    opened = connection(port)
    due = time.monotonic() + number * PAUSE / PEOPLE
    while (due := max(due + PAUSE, time.monotonic())) < until:
        time.sleep(max(0.0, due - time.monotonic()))
        path = rng.choice(("/", f"/posts/{rng.randrange(1, POSTS)}", "/api/posts", f"/search?q={rng.choice(words)}"))
        begun = time.monotonic()
        status, _text = get(opened, path, f"192.0.2.{number + 1}")
        times.append(time.monotonic() - begun)
        statuses[status] += 1


def flood_from(port: int, words: list[str], seconds: float, connections: int, said: Queue[Counter[int]]) -> None:
    """One address with many connections, as fast as it is answered. Status 0: the connection was closed."""
    counts: Counter[int] = Counter()
    until = time.monotonic() + seconds

    def ask(number: int) -> None:
        rng, opened = random.Random(number), connection(port)
        while time.monotonic() < until:
            try:
                counts[get(opened, f"/search?q={rng.choice(words)}", FLOOD)[0]] += 1
            except OSError:
                counts[0] += 1
                opened.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said.put(counts)


def connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=60)


def get(opened: http.client.HTTPConnection, path: str, address: str) -> tuple[int, str]:
    """Status and text of a page, asked for as a proxy does for a client at this address."""
    for last in (False, True):
        try:
            opened.request("GET", path, headers={"X-Forwarded-For": address})
            response = opened.getresponse()
            return response.status, response.read().decode()
        except (http.client.HTTPException, ConnectionError):  # closed while it was idle
            opened.close()
            if last:
                raise
    raise AssertionError


@contextmanager
def running_redis() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Redis of the benchmark's own and its address."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = ("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder)
        redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for(port)
            yield redis, f"redis://127.0.0.1:{port}"
        finally:
            redis.kill()
            redis.wait()


@contextmanager
def running_server() -> Iterator[int]:
    """The port of a web process."""
    port = free_port()
    command = (sys.executable, "-m", "uvicorn", "airy.asgi:application", "--port", str(port), "--log-level", "error")
    server = subprocess.Popen((*command, "--no-access-log"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def free_port() -> int:
    """A port below those of outgoing connections."""
    while True:
        port = random.Random(os.getpid() + time.monotonic_ns()).randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def wait_for(port: int) -> None:
    """Until somebody listens. Raises TimeoutError."""
    for _ in range(600):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    raise TimeoutError(port)


if __name__ == "__main__":
    main()
