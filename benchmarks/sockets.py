"""Live push beside a bare websocket server on the same Redis: what a note, a count, a socket and a crowd cost.

Starts `uvicorn airy.asgi:application` and `benchmarks.bare_socket_server`, each in a process of its own, and a third
process with the clients. Both arms take turns within one run. Processor time is that of the server process. The bare
server has neither accounts, nor a database, nor languages: the ratio is what these cost.

    python -m benchmarks.sockets [--rounds 3] [--sockets 500] [figure ...]
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import redis

from benchmarks.bare_socket_server import CHANNEL
from benchmarks.flood import free_port, running_redis, wait_for
from benchmarks.ratio import print_ratio
from benchmarks.services import temporary_services
from benchmarks.socket_crowd import Crowd

NAME = "airy_bench_sockets"
#: Those who are connected already while many others come: how many, seconds between two notes to them, how often the
#: others come in one round, and seconds that are waited for the last note.
OTHERS, PROBE, REPEATS, LATEST = 20, 0.01, 5, 0.5
People = Sequence[tuple[int, str]]
#: A note's text has this length in both arms.
NAMES = ["somebody"]


class Server:
    """A server process: its address, and what it uses."""

    def __init__(self, *command: str, **environment: str) -> None:
        self.port = free_port()
        self._environment = os.environ | environment
        self._command = [part.format(port=self.port) for part in command]

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Started, and ended after it."""
        with open(os.environ.get("AIRY_BENCH_LOG", os.devnull), "a") as log:
            process = subprocess.Popen([sys.executable, *self._command], env=self._environment, stdout=log, stderr=log)
        self._folder = Path(f"/proc/{process.pid}")
        try:
            wait_for(self.port)
            yield self
        finally:
            process.kill()
            process.wait()

    def seconds(self) -> float:
        """Processor time used so far."""
        return sum(int(path.read_text().split()[0]) for path in self._folder.glob("task/*/schedstat")) / 1e9

    def memory(self) -> float:
        """KB that belong to this process alone."""
        lines = (self._folder / "smaps_rollup").read_text().splitlines()
        return float(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")))


class Airy(Server):
    """Airy's server, and the functions that push to its sockets."""

    name = "airy"

    def __init__(self, loop: str, **environment: str) -> None:
        command = "-m uvicorn airy.asgi:application --port {port} --log-level error --no-access-log --loop"
        super().__init__(*command.split(), loop, **environment)
        self._sent: dict[int, int] = {}

    def note(self, people: People) -> None:
        """One note to each, as `notify` pushes it after its commit."""
        from notifications.push.hints import push_streams

        push_streams([self._hint(who, timed=len(people) == 1) for who, _ in people])

    def counts(self, post_id: int, number: int) -> None:
        """New counts of a post to all who watch it."""
        from notifications.push.channel_layer import send
        from notifications.push.hints import post_group

        send([(post_group(post_id), {"type": "post.counts", "counts": counts(post_id, number)})])

    def _hint(self, who: int, *, timed: bool) -> Any:
        from notifications.push.hints import StreamHint

        seq = self._sent[who] = self._sent.get(who, 0) + 1
        at = time.monotonic() if timed else 100000.123456789
        notice = {"id": seq, "kind": "follow", "data": {"names": NAMES, "count": 1, "at": at},
                  "read": False, "created_at": "2026-11-30T12:00:00.000000+00:00", "withdrawn": False}  # fmt: skip
        return StreamHint(user_id=who, seq=seq, unread=seq, read_upto=0, reads=0, notice=notice)


class Bare(Server):
    """The peer, and the functions that push to its sockets."""

    name = "bare"

    def __init__(self, url: str) -> None:
        super().__init__("-m", "benchmarks.bare_socket_server", "{port}", url)
        self._redis = redis.Redis.from_url(url)

    def note(self, people: People) -> None:
        """A text as long as Airy's note to each."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for who, _ in people:
                note = {"op": "note", "seq": 1, "unread": 1, "id": 1, "kind": "follow",
                        "data": {"names": NAMES, "count": 1, "at": time.monotonic()}, "read": False,
                        "created_at": "2026-11-30T12:00:00.000000+00:00", "text": "somebody followed you",
                        "link": "/users/somebody"}  # fmt: skip
                pipeline.publish(CHANNEL, f"user.{who} {json.dumps(note, separators=(',', ':'))}")
            pipeline.execute()

    def counts(self, post_id: int, number: int) -> None:
        """New counts of a post to all who watch it."""
        text = json.dumps({"op": "counts", **counts(post_id, number)}, separators=(",", ":"))
        self._redis.publish(CHANNEL, f"post.{post_id} {text}")


def counts(post_id: int, number: int) -> dict[str, int]:
    return {"post_id": post_id, "upvotes": number, "downvotes": 0, "comments": 3, "score": number}


Arm = Airy | Bare
#: A figure measures one arm, and returns numbers by their names.
Figure = Callable[[Arm, Crowd, People, argparse.Namespace], dict[str, float]]


def per_note(arm: Arm, crowd: Crowd, people: People, options: argparse.Namespace) -> dict[str, float]:
    """Processor time per delivery, in µs: one note each to many people, in bursts."""
    crowd.connect(arm.port, people)
    arm.note(people)
    crowd.until("note", expected := crowd.heard("note") // len(people) * len(people) + len(people))
    before = arm.seconds()
    for _ in range(options.bursts):
        arm.note(people)
        expected += len(people)
        crowd.until("note", expected)
    spent = arm.seconds() - before
    crowd.take_times()
    return {"µs of processor time per note": spent / options.bursts / len(people) * 1e6}


def per_count(arm: Arm, crowd: Crowd, people: People, options: argparse.Namespace) -> dict[str, float]:
    """Processor time per delivery, in µs: the counts of one post to many who watch it."""
    from feeds.models import Post

    post_id = Post.objects.values_list("pk", flat=True)[0]
    crowd.connect(arm.port, people, {"op": "watch", "post_id": post_id, "now": True})
    expected = crowd.heard("counts")
    if isinstance(arm, Airy):
        time_limit = time.monotonic() + 60
        while (heard := crowd.heard("counts")) % len(people) or heard == 0:  # each was told the counts of now
            assert time.monotonic() < time_limit
            time.sleep(0.05)
        expected = heard
    arm.counts(post_id, 0)
    crowd.until("counts", expected := expected + len(people))
    before = arm.seconds()
    for number in range(2 * options.bursts):
        arm.counts(post_id, number)
        expected += len(people)
        crowd.until("counts", expected)
    spent = arm.seconds() - before
    return {"µs of processor time per count": spent / options.bursts / 2 / len(people) * 1e6}


def memory(arm: Arm, crowd: Crowd, people: People, options: argparse.Namespace) -> dict[str, float]:
    """Memory of an idle socket, in KB: the second half of the sockets, so that what is loaded once does not count."""
    half = len(people) // 2
    crowd.connect(arm.port, people[:half], group="memory")
    before = arm.memory()
    crowd.connect(arm.port, people[half:], group="memory")
    used = (arm.memory() - before) / (len(people) - half)
    crowd.close("memory")
    return {"KB per idle socket": used}


def latency(arm: Arm, crowd: Crowd, people: People, options: argparse.Namespace) -> dict[str, float]:
    """From the hint to the client, in ms, at 200 notes a second."""
    crowd.connect(arm.port, people)
    arm.note(people[:1])
    time.sleep(0.5)
    crowd.take_times()
    expected, before = crowd.heard("note"), arm.seconds()
    due = time.monotonic()
    number = int(200 * options.seconds)
    for at in range(number):
        arm.note([people[at % len(people)]])
        due += 1 / 200
        time.sleep(max(0.0, due - time.monotonic()))
    crowd.until("note", expected + number)
    spent = arm.seconds() - before
    times = [seconds * 1000 for _, seconds in crowd.take_times()]
    return {
        "ms from hint to client, p50": statistics.median(times),
        "ms from hint to client, p99": statistics.quantiles(times, n=100)[98],
        "ms of processor time per paced note": spent / number * 1000,
    }


def herd(arm: Arm, crowd: Crowd, people: People, options: argparse.Namespace) -> dict[str, float]:
    """All come back at once, to Airy with three missed notes each: until all are ready, and what it costs."""
    if isinstance(arm, Airy):
        missed(people)
    expected, before = crowd.heard("note"), arm.seconds()
    seconds = crowd.connect(arm.port, people, last_seq=0)
    if isinstance(arm, Airy):
        crowd.until("note", expected + 3 * len(people))
    spent = arm.seconds() - before
    crowd.take_times()
    return {"s until all are ready": seconds, "ms of processor time per reconnect": spent / len(people) * 1000}


def forget(people: People) -> None:
    """No notes any more, and new streams."""
    from notifications.models import Notification, Stream

    ids = [who for who, _ in people]
    Notification.objects.filter(user__in=ids).delete()
    Stream.objects.filter(user__in=ids).delete()


def missed(people: People) -> None:
    """Three notes more each, none of which is pushed."""
    from django.db import transaction
    from django.db.models import F

    from notifications.models import Notification, Stream

    ids = [who for who, _ in people]
    Stream.objects.bulk_create([Stream(user_id=who) for who in ids], ignore_conflicts=True)
    seqs = dict(Stream.objects.filter(user__in=ids).values_list("user_id", "seq"))
    with transaction.atomic():
        Notification.objects.bulk_create(
            Notification(user_id=who, seq=seq, kind="follow", group_key=f"follow/{seq}",
                         data={"names": NAMES, "count": 1})
            for who in ids
            for seq in range(seqs[who] + 1, seqs[who] + 4)
        )  # fmt: skip
        Stream.objects.filter(user__in=ids).update(seq=F("seq") + 3, unread=F("unread") + 3)


def idle(arm: Arm, crowd: Crowd, people: People, options: argparse.Namespace) -> dict[str, float]:
    """Processor time of sockets at rest, in ms per second."""
    crowd.connect(arm.port, people)
    time.sleep(1)
    before = arm.seconds()
    time.sleep(options.seconds)
    return {"ms of processor time per idle second": (arm.seconds() - before) / options.seconds * 1000}


class Probes:
    """Notes to a few who are connected, from a process of their own, one each PROBE seconds."""

    def __init__(self, arm: Arm, people: People) -> None:
        self._arm, self._crowd, self._people = arm, Crowd(), people
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Probes:
        self._crowd.connect(self._arm.port, self._people)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._crowd.end()

    def _send(self) -> None:
        for at in itertools.count():
            if self._stopped.wait(PROBE):
                return
            self._arm.note([self._people[at % len(self._people)]])

    def during(self, action: Callable[[], tuple[float, float] | None]) -> list[float]:
        """How long those took, in ms, that were sent while an action ran, or between the two times that it returns."""
        self._crowd.take_times()
        begun = time.monotonic()
        span = action() or (begun, time.monotonic())
        time.sleep(LATEST)
        return [seconds * 1000 for sent, seconds in self._crowd.take_times() if span[0] <= sent <= span[1]]


def beside_a_crowd(arm: Arm, crowd: Crowd, people: People, options: argparse.Namespace) -> dict[str, float]:
    """The time to those who are connected already, while all others come back at once with three missed notes each.

    They come to another process in turn: what that costs is the machine's share, whose processors all processes share.
    """
    others, back = people[:OTHERS], people[OTHERS:]
    times: dict[str, list[float]] = {"the other process": [], "the same process": []}
    came = itertools.count(1)

    def come_back(port: int) -> None:
        crowd.connect(port, back, group="back", last_seq=0)
        crowd.until("missed", next(came) * 3 * len(back))

    with Airy(options.loop).running() as other, Probes(arm, others) as probes:
        quiet = probes.during(lambda: time.sleep(options.seconds))
        for _ in range(REPEATS):
            for server, found in zip((other, arm), times.values(), strict=True):
                forget(back)
                missed(back)
                found += probes.during(partial(come_back, server.port))
                crowd.close("back")
    return {"ms to those connected, quiet": p99(quiet)} | {
        f"ms to those connected, beside a crowd that comes to {which}": p99(found) for which, found in times.items()
    }


def beside_lost_hints(arm: Arm, crowd: Crowd, people: People, options: argparse.Namespace) -> dict[str, float]:
    """The time to those who are connected, while all others are caught up, of whom three hints each were lost."""
    others, behind = people[:OTHERS], people[OTHERS:]
    crowd.connect(arm.port, behind)

    def catch_up(times: int) -> tuple[float, float]:
        crowd.take_arrivals()
        missed(behind)
        crowd.until("missed", times * 3 * len(behind))
        arrivals = crowd.take_arrivals()
        return min(arrivals), max(arrivals)

    with Probes(arm, others) as probes:
        quiet = probes.during(lambda: time.sleep(options.seconds))
        beside: list[float] = []
        for number in range(REPEATS):
            beside += probes.during(partial(catch_up, number + 1))
    return {"ms to those connected, quiet": p99(quiet), "ms to those connected, beside lost hints": p99(beside)}


def p99(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


#: With the bounds of the ratios, in the order of the numbers.
FIGURES: dict[str, tuple[Figure, list[str]]] = {
    "note": (per_note, ["at most 1.4"]),
    "count": (per_count, ["at most 1.5"]),
    "memory": (memory, ["at most 1.6"]),
    "latency": (latency, ["at most 1.3", "at most 1.5", "reported"]),
    "herd": (herd, ["at most 4", "at most 5"]),
    "idle": (idle, ["reported"]),
}
#: Of Airy alone: numbers, with which the last one is compared.
ALONE: dict[str, Figure] = {"crowd": beside_a_crowd, "lost": beside_lost_hints}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("figures", nargs="*", choices=[*FIGURES, *ALONE, "two", []], help="all by default")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--sockets", type=int, default=500)
    arguments.add_argument("--bursts", type=int, default=20)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--loop", default="auto", help="Airy's event loop: uvloop (auto), or asyncio as the peer's")
    options = arguments.parse_args()
    with running_redis() as (_, url):
        more = {"REDIS_URL": url, "REDIS_PREFIX": NAME, "RATE_LIMITS": "off", "SOCKETS_PER_PROCESS": "100000"}
        with temporary_services(NAME, ALLOWED_HOSTS="127.0.0.1", **more):
            people = make_people(options.sockets)
            for name in options.figures or (*FIGURES, *ALONE):
                if name == "two":
                    measure_two(people, options)
                elif name in ALONE:
                    measure_alone(name, people, options)
                else:
                    measure(name, url, people, options)
    os._exit(0)  # the task pool's threads may still hold connections to Redis


def measure(name: str, url: str, people: People, options: argparse.Namespace) -> None:
    """Run a figure for both arms in turn, each time on new servers, and print its ratios."""
    figure, bounds = FIGURES[name]
    found: dict[str, dict[str, list[float]]] = {"airy": {}, "bare": {}}
    for number in range(options.rounds):
        arms: list[Arm] = [Airy(options.loop), Bare(url)]
        random.Random(number).shuffle(arms)
        for arm in arms:
            for what, value in once(figure, arm, people, options).items():
                found[arm.name].setdefault(what, []).append(value)
    for (what, ours), bound in zip(found["airy"].items(), bounds, strict=True):
        bare = found["bare"][what]
        print(f"{what}: airy {spread(ours)}, bare {spread(bare)}", flush=True)
        if min(bare) > 0:
            print_ratio(f"  {what}, airy to bare", ours, bare, bound)


def measure_alone(name: str, people: People, options: argparse.Namespace) -> None:
    """Run a figure for Airy alone, and print the ratios of its last number to the others."""
    found: list[dict[str, float]] = []
    for _ in range(options.rounds):
        found.append(once(ALONE[name], Airy(options.loop, SOCKET_ROUND_SECONDS="5"), people, options))
    by_what = {what: [one[what] for one in found] for what in found[0]}
    for what, values in by_what.items():
        print(f"{what}: {spread(values)}", flush=True)
    *others, (_, beside) = by_what.items()
    for what, values in others:
        print_ratio(f"  {name}, to {what!r}", beside, values, "at most 3")


def measure_two(people: People, options: argparse.Namespace) -> None:
    """Half of the people on each of two processes: all get their notes, and what it costs each process."""
    half = len(people) // 2
    forget(people)
    crowd, servers = Crowd(), (Airy(options.loop), Airy(options.loop))
    with servers[0].running(), servers[1].running():
        seconds = [
            crowd.connect(server.port, some, group=str(server.port))
            for server, some in zip(servers, (people[:half], people[half:]), strict=True)
        ]
        before, begun = [server.seconds() for server in servers], time.monotonic()
        for number in range(options.bursts):
            servers[0].note(people)
            crowd.until("note", (number + 1) * len(people))
        took = time.monotonic() - begun
        each = [
            (server.seconds() - spent) / options.bursts / half * 1e6
            for server, spent in zip(servers, before, strict=True)
        ]
        print(f"two processes with {half} each: ready after {seconds[0]:.2f} and {seconds[1]:.2f} s")
        print(f"  notes/s: {options.bursts * len(people) / took:.0f}")
        print(f"  µs of processor time per note: {each[0]:.1f}, {each[1]:.1f}")
        print(f"  KB of memory: {servers[0].memory():.0f}, {servers[1].memory():.0f}")
    crowd.end()


def once(figure: Figure, arm: Arm, people: People, options: argparse.Namespace) -> dict[str, float]:
    """Measure on a new server, with new clients, for people without notes."""
    forget(people)
    crowd = Crowd()
    with arm.running():
        found = figure(arm, crowd, people, options)
    crowd.end()
    return found


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g}..{max(values):.3g})"


def make_people(count: int) -> People:
    """Users who are signed in: their ids and session keys; and one post."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.utils import timezone
    from django.utils.crypto import get_random_string

    from feeds.models import EntityCounts, Post, User
    from feeds.sessions.store import SessionStore

    names = [f"person{number}" for number in range(count)]
    users = User.objects.bulk_create(
        [User(username=name, username_folded=name, password="!" + get_random_string(20)) for name in names]
    )
    store, model = SessionStore(), SessionStore.get_model_class()
    rows = []
    for user in users:
        contents = {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
        key = get_random_string(32).lower()
        expires = timezone.now() + dt.timedelta(days=1)
        rows.append(model(session_key=key, session_data=store.encode(contents), expire_date=expires))
    model.objects.bulk_create(rows)
    post = Post(author=users[0], title="Watched", status="published", published_at=timezone.now())
    EntityCounts.objects.create(entity_type="post", entity_id=Post.objects.bulk_create([post])[0].pk)
    return [(user.pk, row.session_key) for user, row in zip(users, rows, strict=True)]


if __name__ == "__main__":
    main()
