"""What fails around live push, with real processes: each page ends with exactly the database's notes."""

from __future__ import annotations

import asyncio
import functools
import itertools
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from redis.exceptions import RedisError

from feeds.models import Comment
from notifications.models import Notification
from notifications.notices.notice import Notice
from notifications.notices.notices import notify
from tests.conformance.processes import database_url
from tests.support.factories import CommentFactory, PostFactory, UserFactory
from tests.support.readers import Readers, assert_exact, have_all, session_of
from tests.support.writer import Writer, write

#: Seconds in which 99 of 100 notes come whatever else goes on. Quiet, they take milliseconds.
IN_TIME = 2.0
#: Seconds in which a note comes by a hint, however busy the machine.
QUICK = 1.5
#: Seconds between two rounds of the servers of these tests, and between two pings; a pong may take as long.
ROUND, PING = 4, 1
#: The limits hold, so that they are asked for in Redis, but nothing reaches them.
LIMITS = dict.fromkeys(("LIMIT_ADDRESS", "LIMIT_HANDSHAKES", "LIMIT_READ", "LIMIT_VISIT"), "100000/1")
LIMITS |= {"RATE_LIMITS": "on", "SOCKETS_PER_ADDRESS": "5000", "CONNECTIONS_PER_ADDRESS": "5000"}

FULL = pytest.mark.slow, pytest.mark.timeout(900)
CROWD = pytest.mark.parametrize("crowd", [20, pytest.param(200, marks=FULL)])
HERD = pytest.mark.parametrize("crowd", [60, pytest.param(500, marks=FULL)])


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A program of these tests that can be killed, stopped, and started again at the same port."""

    def __init__(self, log: Path, *command: str, **environment: str) -> None:
        self.port = free_port()
        self._log, self._environment = log, environment
        self._command = [part.format(port=self.port) for part in command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process is None:
            database = {"DATABASE_URL": database_url(), "AIRY_TEST_CHILD": "on"}
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    cwd=settings.BASE_DIR,
                    env=os.environ | database | self._environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal, and wait for that."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            self._process.wait(30)
            self._process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """SIGSTOP: it hangs, and its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def get(self, path: str) -> str:
        """The body of a page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    def figures(self) -> dict[str, float]:
        """The metrics by name, with the labels' values behind it."""
        families = text_string_to_metric_families(self.get("/metrics"))
        return {" ".join([one.name, *one.labels.values()]): one.value for family in families for one in family.samples}

    def answers(self) -> bool:
        """Whether pages are served."""
        try:
            return bool(self.get("/healthz"))
        except OSError:
            return False


class Site:
    """Two servers on a Redis of their own, and the database of the test."""

    def __init__(self, folder: Path) -> None:
        command = ("redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self.log = folder / "faults.log"
        self.redis = Program(self.log, *command)
        shared = {"REDIS_URL": f"redis://127.0.0.1:{self.redis.port}", "REDIS_PREFIX": "faults", "LOG_LEVEL": "WARNING"}
        pings = ("--ws-ping-interval", str(PING), "--ws-ping-timeout", str(PING))
        server = self._server = (
            sys.executable,
            "-m",
            "uvicorn",
            "airy.asgi:application",
            "--port",
            "{port}",
            "--no-access-log",
            "--log-level",
            "warning",
        )
        environment = self._environment = shared | LIMITS | {"SOCKET_ROUND_SECONDS": str(ROUND)}
        self.server = Program(self.log, *server, *pings, **environment)
        #: Pings as seldom as by default.
        self.other = Program(self.log, *server, **environment)

    def server_at(self, redis: int) -> Program:
        """Another server, which reaches Redis at this port."""
        return Program(self.log, *self._server, **self._environment | {"REDIS_URL": f"redis://127.0.0.1:{redis}"})

    def redis_answers(self) -> bool:
        try:
            with closing(Redis(port=self.redis.port, socket_timeout=1)) as client:
                return bool(client.ping())
        except RedisError:
            return False

    def end(self) -> None:
        for program in (self.server, self.other, self.redis):
            program.end()


@pytest.fixture(scope="module")
def running_site(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests: what one has killed, the next one starts."""
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server on PATH")
    site = Site(tmp_path_factory.mktemp("faults"))
    try:
        yield site
    finally:
        site.end()


@pytest.fixture
def site(running_site: Site, transactional_db: None, settings: Any, eventually: Callable[..., None]) -> Iterator[Site]:
    """The servers, and this process on their Redis: it writes notes as a worker does."""
    config = {"hosts": [f"redis://127.0.0.1:{running_site.redis.port}"], "prefix": "faults"}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "notifications.push.pubsub_layer.PubSubLayer", "CONFIG": config}}
    for program in (running_site.redis, running_site.server):
        program.start()
    eventually(running_site.redis_answers)
    eventually(running_site.server.answers, within=60)
    yield running_site
    print(running_site.log.read_text(errors="replace")[-4000:])  # noqa: T201 - beside what failed


@pytest.fixture
def other(site: Site, eventually: Callable[..., None]) -> Iterator[Program]:
    """The second server."""
    site.other.start()
    eventually(site.other.answers, within=60)
    yield site.other
    site.other.end()


@pytest.fixture
def readers() -> Iterator[Readers]:
    with Readers().running() as running:
        yield running


def people(count: int) -> list[Any]:
    return UserFactory.create_batch(count)


def all_ready(readers: Readers, eventually: Callable[..., None], *, within: float = 60.0) -> None:
    eventually(readers.all_ready, within=within)


def all_there(readers: Readers, eventually: Callable[..., None], *, within: float = 60.0) -> None:
    """Wait until each page has all, then compare it."""
    eventually(lambda: have_all(readers), within=within)
    assert_exact(readers)


def in_time(delays: list[float]) -> bool:
    """Whether 99 of 100 notes came within IN_TIME."""
    return delays[len(delays) * 99 // 100] < IN_TIME


def heard_live(writer: Writer, readers: Readers, eventually: Callable[..., None], *, within: float = 45.0) -> None:
    """Wait until all notes that are written from now on come by hints, and not by the rounds."""
    begun = time.monotonic()

    def is_heard_live() -> bool:
        now = time.monotonic()
        delays = writer.delays(readers, since=max(begun, now - 2 * QUICK), until=now - QUICK)
        return len(delays) > 10 and delays[-1] < QUICK

    eventually(is_heard_live, within=within)


@pytest.mark.redis
@pytest.mark.postgres
@CROWD
def test_a_redis_that_is_killed_and_comes_back(
    site: Site, readers: Readers, eventually: Callable[..., None], crowd: int
) -> None:
    users = people(crowd)
    readers.open(users, site.server.port)
    all_ready(readers, eventually)
    writer = Writer(users, per_second=40)
    with writer.writing():
        heard_live(writer, readers, eventually)
        site.redis.end()
        late = readers.open(people(1), site.server.port)[0]
        eventually(lambda: 1013 in late.codes)
        before = site.server.figures()["airy_sockets_behind_total"]
        eventually(lambda: site.server.figures()["airy_sockets_behind_total"] > before)
        site.redis.start()
        heard_live(writer, readers, eventually)
        all_ready(readers, eventually)
    all_there(readers, eventually)
    assert writer.slowest < IN_TIME
    assert [reader.codes for reader in readers if reader is not late] == [[]] * crowd


@pytest.mark.redis
@pytest.mark.postgres
@CROWD
def test_a_redis_that_hangs_and_goes_on(
    site: Site, readers: Readers, eventually: Callable[..., None], crowd: int
) -> None:
    users = people(crowd)
    readers.open(users, site.server.port)
    all_ready(readers, eventually)
    writer = Writer(users, per_second=40)
    with writer.writing():
        heard_live(writer, readers, eventually)
        with site.redis.stopped():
            begun = time.monotonic()
            late = readers.open(people(1), site.server.port)[0]
            for path in ("/healthz", "/", "/metrics"):
                asked = time.monotonic()
                site.server.get(path)
                assert time.monotonic() - asked < IN_TIME, path
            eventually(lambda: late.is_ready or 1013 in late.codes, within=8)
            since = time.monotonic()
            by_the_rounds = functools.partial(writer.delays, readers, since=since, until=since + 0.5)
            eventually(lambda: by_the_rounds() and by_the_rounds()[-1] < math.inf)
            eventually(lambda: time.monotonic() - begun > 5)
        heard_live(writer, readers, eventually)
        all_ready(readers, eventually)
    all_there(readers, eventually)
    assert writer.slowest < IN_TIME
    assert [reader.codes for reader in readers if reader is not late] == [[]] * crowd


@pytest.mark.redis
@pytest.mark.postgres
@CROWD
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_ends_and_comes_back(
    site: Site, readers: Readers, eventually: Callable[..., None], crowd: int, number: signal.Signals
) -> None:
    users = people(crowd)
    readers.open(users, site.server.port)
    all_ready(readers, eventually)
    writer = Writer(users, per_second=40)
    with writer.writing():
        heard_live(writer, readers, eventually)
        site.server.end(number)
        eventually(lambda: not any(reader.is_ready for reader in readers))
        site.server.start()
        all_ready(readers, eventually)
        heard_live(writer, readers, eventually)
    all_there(readers, eventually)
    code, drained = (1006, 0) if number == signal.SIGKILL else (1012, 1)
    assert {reader.codes[0] for reader in readers} == {code}
    assert {reader.ops.count("drain") for reader in readers} == {drained}


class Wire:
    """A way to a port that can go dead: nothing comes through any more, and nothing is closed."""

    def __init__(self, readers: Readers, to: int) -> None:
        self.port, self._to, self._readers = free_port(), to, readers
        self._pumps: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        readers.run(asyncio.start_server(self._connected, "127.0.0.1", self.port))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._ends |= {writer, to_writer}
        for pump in (self._pump(reader, to_writer), self._pump(to_reader, writer)):
            self._pumps.add(asyncio.create_task(pump))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    def go_dead(self) -> None:
        """Let nothing more through on the connections that are open; new ones work."""

        async def stop() -> None:
            for pump in self._pumps:
                pump.cancel()
            self._pumps = set()

        self._readers.run(stop())

    def cut(self) -> None:
        """Close the connections that are open."""

        async def close() -> None:
            for end in self._ends:
                end.close()
            self._ends = set()

        self._readers.run(close())


@pytest.mark.redis
@pytest.mark.postgres
def test_a_client_whose_machine_is_gone_frees_its_place_and_misses_nothing(
    site: Site, readers: Readers, eventually: Callable[..., None]
) -> None:
    users = people(10)
    wire = Wire(readers, site.server.port)
    gone, _others = readers.open(users[:5], wire.port), readers.open(users[5:], site.server.port)
    all_ready(readers, eventually)
    writer = Writer(users, per_second=40)
    with writer.writing():
        assert site.server.figures()["airy_sockets_open"] == 10
        wire.go_dead()
        eventually(lambda: site.server.figures()["airy_sockets_open"] == 5, within=2 * PING + 3)
        wire.cut()
        eventually(lambda: all(reader.readies == 2 for reader in gone))
    all_there(readers, eventually)
    assert site.server.figures()["airy_sockets_open"] == 10


@pytest.mark.redis
@pytest.mark.postgres
@CROWD
def test_a_client_that_reads_nothing_is_closed_and_delays_nobody(
    site: Site, other: Program, readers: Readers, eventually: Callable[..., None], crowd: int
) -> None:
    users, slow = people(crowd), people(1)[0]
    readers.open(users, other.port)
    all_ready(readers, eventually)
    closed = other.figures()["airy_sockets_closed_total 4408"]
    with closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", other.port))
        deaf.sendall(handshake(other.port, session_of(slow)))
        eventually(lambda: other.figures()["airy_sockets_open"] == crowd + 1)
        writer = Writer(users, per_second=40)
        with writer.writing():
            for turn in range(60):  # more than the buffers between the processes hold
                data = {"names": ["b" * 200_000], "count": 1}
                notify([Notice(user_id=slow.pk, kind="follow", key=f"follow/{turn}", data=data)])
            eventually(lambda: other.figures()["airy_sockets_open"] == crowd)
            assert other.figures()["airy_sockets_closed_total 4408"] == closed + 1
            heard_live(writer, readers, eventually)
    all_there(readers, eventually)
    assert in_time(writer.delays(readers))


def handshake(port: int, session: str) -> bytes:
    """A websocket's handshake, and hello behind it."""
    hello = b'{"op":"hello","v":1,"last_seq":null}'
    head = (
        f"GET /ws/notifications/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        f"Origin: http://127.0.0.1:{port}\r\nCookie: {settings.SESSION_COOKIE_NAME}={session}\r\n\r\n"
    )
    return head.encode() + bytes((0x81, 0x80 | len(hello), 0, 0, 0, 0)) + hello


@pytest.mark.redis
@pytest.mark.postgres
@HERD
def test_a_crowd_that_comes_back_at_once_leaves_the_others_theirs(
    site: Site, readers: Readers, eventually: Callable[..., None], crowd: int
) -> None:
    herd = readers.open(people(crowd), site.server.port)
    all_ready(readers, eventually)
    readers.go(herd)
    for turn, reader in itertools.product((1, 2, 3), herd):
        write(reader.user, turn)
    eventually(lambda: site.server.figures()["airy_sockets_open"] == 0)
    users = people(10)
    others = readers.open(users, site.server.port)
    eventually(lambda: all(reader.is_ready for reader in others))
    writer = Writer(users, per_second=40)
    with writer.writing():
        heard_live(writer, readers, eventually)
        readers.come(herd)
        all_ready(readers, eventually)
        heard_live(writer, readers, eventually)
    all_there(readers, eventually)
    assert {tuple(reader.numbers) for reader in herd} == {(1, 2, 3)}
    assert not any(reader.codes for reader in readers)
    assert in_time(writer.delays(others))


@pytest.mark.redis
@pytest.mark.postgres
@HERD
def test_lost_hints_of_many_are_caught_up_beside_the_others(
    site: Site, readers: Readers, eventually: Callable[..., None], crowd: int
) -> None:
    many = readers.open(people(crowd), site.server.port)
    users = people(10)
    others = readers.open(users, site.server.port)
    all_ready(readers, eventually)
    writer = Writer(users, per_second=40)
    before = site.server.figures()["airy_sockets_behind_total"]
    with writer.writing():
        heard_live(writer, readers, eventually)
        with transaction.atomic():
            for turn, reader in itertools.product((1, 2, 3), many):
                write(reader.user, turn)
            connection.run_on_commit.clear()
        eventually(lambda: have_all(many), within=ROUND * 1.2 + 15)
        heard_live(writer, readers, eventually)
    all_there(readers, eventually)
    assert site.server.figures()["airy_sockets_behind_total"] - before >= crowd
    assert in_time(writer.delays(others))


@pytest.mark.redis
@pytest.mark.postgres
def test_two_servers_and_a_user_with_a_page_on_each(
    site: Site, other: Program, readers: Readers, eventually: Callable[..., None]
) -> None:
    users = people(10)
    here, there = (readers.open(users, one.port) for one in (site.server, other))
    all_ready(readers, eventually)
    writer = Writer(users, per_second=40)
    with writer.writing():
        heard_live(writer, readers, eventually)
        other.end()
        eventually(lambda: not any(reader.is_ready for reader in there))
        other.start()
        all_ready(readers, eventually)
        heard_live(writer, readers, eventually)
    all_there(readers, eventually)
    assert not any(reader.codes for reader in here)
    readers.run(here[0].say("read", upto=here[0].seq, id=1))
    eventually(lambda: here[0].unread == there[0].unread == 0)


@pytest.mark.redis
@pytest.mark.postgres
def test_a_connection_to_redis_that_is_dead_and_not_closed_is_replaced(
    site: Site, readers: Readers, eventually: Callable[..., None]
) -> None:
    """As after a fail-over of Redis, or a firewall that forgets connections: the notes come late, then live again."""
    wire = Wire(readers, site.redis.port)
    server = site.server_at(wire.port)
    server.start()
    try:
        eventually(server.answers, within=60)
        users = people(10)
        readers.open(users, server.port)
        all_ready(readers, eventually)
        writer = Writer(users, per_second=40)
        with writer.writing():
            heard_live(writer, readers, eventually)
            wire.go_dead()
            heard_live(writer, readers, eventually)
        all_there(readers, eventually)
        assert not any(reader.codes for reader in readers)
    finally:
        server.end()


@pytest.mark.home
@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=FULL)])
def test_the_embedded_mode_through_kills(
    transactional_db: None, tmp_path: Path, readers: Readers, eventually: Callable[..., None], kills: int
) -> None:
    """Web, worker and live push in one process: the notes are those of events, and come by hints in the process."""
    command = (sys.executable, "manage.py", "up", "127.0.0.1:{port}")
    server = Program(tmp_path / "up.log", *command, AIRY_BROKER="embedded", REDIS_URL="")
    server.start()
    try:
        posts = PostFactory.create_batch(3)
        eventually(server.answers, within=60)
        readers.open([post.author for post in posts], server.port)
        all_ready(readers, eventually)
        for _ in range(kills):
            comment_on(posts, times=3)
            server.end()
            comment_on(posts, times=3)
            eventually(lambda: not any(reader.is_ready for reader in readers))
            server.start()
            all_ready(readers, eventually)
            comment_on(posts, times=3)
        comments = Comment.objects.count()
        eventually(lambda: Notification.objects.filter(kind="comment").count() == comments, within=60)
        all_there(readers, eventually)
        for reader in readers:
            notes = [note["data"]["comment_id"] for note in reader.shown.values() if note["kind"] == "comment"]
            assert len(notes) == len(set(notes)) == comments / len(posts)
    finally:
        server.end(signal.SIGTERM)


def comment_on(posts: list[Any], *, times: int) -> None:
    for _, post in itertools.product(range(times), posts):
        CommentFactory(post=post)
