"""Upgrade of the site: the previous release's web, worker and relay go on under load while this code's migrations run,
then this code's beside them, then alone."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.chaos.previous import code_of
from tests.chaos.site.content import write_content
from tests.chaos.site.lock_waits import LockWatch, Wait, errors, log_statements, slow_statements
from tests.chaos.site.members import Answer, Balancer, Load
from tests.chaos.site.schema import schema_of
from tests.chaos.system import System
from tests.environment import REQUIRED
from tests.support.servers.ports import answers, free_port
from tests.support.servers.postgres import running_cluster
from tests.support.servers.process import ServerMissingError
from tests.support.servers.rabbitmq import running_node
from tests.support.servers.redis import running_redis

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.rabbitmq,
    pytest.mark.redis,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]

#: The commit of the previous release; another one by this environment variable.
PREVIOUS = os.environ.get("AIRY_SITE_UPGRADE_FROM", "7622b0a4e655521447f252e61694fe9ef8139021")
MEMBERS = 5
#: Seconds that a statement may wait for the lock of a table while the migrations run.
LONGEST_LOCK_WAIT = 1.5
#: What a client is told when it is at fault or was overtaken: another one deleted the post.
REFUSALS = {403, 404, 409, 422}
#: A table that a migration changes.
READ_FOR_LONG = "feeds_comment"
MIGRATED = "SELECT app, name, extract(epoch FROM applied)::float FROM django_migrations ORDER BY id"
PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events_storedevent'::regclass"


class Step(NamedTuple):
    """A migration or a command, and when it ran, in seconds since 1970."""

    app: str
    name: str
    began: float
    ended: float


@pytest.fixture
def previous() -> Iterator[Path]:
    """The code of the previous release in a folder."""
    with code_of(PREVIOUS) as folder:
        yield folder


@pytest.fixture
def system(previous: Path) -> Iterator[System]:
    """Servers of this test alone, with nothing in them; skips, or fails where they are required, without their
    programs."""
    with tempfile.TemporaryDirectory(prefix="airy_chaos_") as name:
        folder = Path(name)
        try:
            with (
                running_cluster(folder / "cluster") as cluster,
                running_node(folder / "node") as node,
                running_redis(folder) as redis,
            ):
                made = System(folder, cluster, node)
                made.environment |= {
                    "DJANGO_SETTINGS_MODULE": "airy.settings",
                    "REDIS_URL": redis.url,
                    "RATE_LIMITS": "off",
                    # All members have one address.
                    "REQUESTS_AT_ONCE_PER_ADDRESS": "50",
                }
                try:
                    yield made
                finally:
                    made.end()
        except ServerMissingError as missing:
            if {"postgres", "rabbitmq", "redis"} & REQUIRED:
                pytest.fail(f"AIRY_REQUIRE names what is missing: {missing}", pytrace=False)
            pytest.skip(f"needs servers of its own: {missing}")


@contextmanager
def loaded(balancer: Balancer) -> Iterator[Load]:
    """Members who act, until the end of the block."""
    load = Load(balancer, members=MEMBERS)
    try:
        load.begin()
        yield load
    finally:
        load.end()


def web(system: System, name: str, balancer: Balancer, code: Path | None) -> int:
    """Keep a web process running, and send requests there; returns its port."""
    port = free_port()
    system.keep(name, "-m", "uvicorn", "airy.asgi:application", "--port", str(port), "--no-access-log", code=code)
    system.until(lambda: answers(port), what=f"{name} listens")
    balancer.add(port)
    return port


def workers(system: System, release: str, code: Path | None) -> None:
    """Keep a relay and a worker running, as an operator starts them."""
    system.keep(f"{release}_relay", "manage.py", "relay", code=code)
    sizes = ("--processes", "1", "--threads", "4")
    system.keep(f"{release}_worker", "manage.py", "rundramatiq", *sizes, code=code)


def go_on(system: System, load: Load, *, requests: int) -> None:
    """Let the members ask so often again, and every event of until then be done."""
    goal = len(load.answers()) + requests
    system.until(lambda: load.errors or len(load.answers()) >= goal, what=f"{goal} requests")
    newest = system.cluster.value("SELECT max(sequence) FROM events_storedevent")
    owed = (
        "SELECT count(*) FROM events_outboxmessage o JOIN events_storedevent e USING (event_id)"
        " WHERE e.sequence <= %s AND (o.due IS NULL OR o.due < now() + interval '1 hour')"
    )
    system.until(lambda: load.errors or not system.cluster.value(owed, newest), what=f"events up to {newest} leave")


def applied_since(system: System, before: list[tuple[str, str, float]], began: float) -> list[Step]:
    """What a run of `migrate` has applied."""
    steps = []
    for app, name, ended in system.cluster.ask(MIGRATED)[len(before) :]:
        steps.append(Step(app, name, began, ended))
        began = ended
    return steps


def migrate_beside_a_long_reader(system: System, load: Load) -> list[Step]:
    """Run this code's `migrate` while a session keeps reading, as a dump or an export does; it ends once a migration
    has given way to it."""
    before, began = system.cluster.ask(MIGRATED), time.time()
    with system.cluster.connect() as reader, reader.transaction():
        reader.execute(f"SELECT count(*) FROM {READ_FOR_LONG}")
        system.begin("migrate_under_load", "manage.py", "migrate", "--verbosity", "0")
        log = system.folder / "migrate_under_load.log"
        system.until(lambda: load.errors or "A table is in use" in log.read_text(), what="a migration gives way")
    system.finish("migrate_under_load")
    return applied_since(system, before, began)


def back_fill(system: System, when: str) -> None:
    """What README names after an upgrade."""
    for command in ("rerender", "reindex"):
        system.run(f"{command}_{when}", "manage.py", command, within=900)


def during(answered: list[Answer], step: Step) -> list[Answer]:
    """The requests that were under way while a migration ran, slowest first, without those that hash a password."""
    overlapping = [
        one
        for one in answered
        if one.began < step.ended
        and one.began + one.seconds > step.began
        and one.what not in {"POST /api/register", "POST /api/login"}
    ]
    return sorted(overlapping, key=lambda one: -one.seconds)


def longest_during(waits: list[Wait], step: Step) -> Wait | None:
    """The longest that overlaps the run of a migration."""
    overlapping = [one for one in waits if one.began < step.ended and one.began + one.seconds > step.began]
    return max(overlapping, key=lambda one: one.seconds, default=None)


def report(system: System, load: Load, steps: list[Step], watch: LockWatch) -> float:
    """Print, for each migration, the longest wait for a table and the slowest request; returns the longest wait."""
    log = system.folder / "cluster" / "log"
    waits, statements, answered = watch.waits(), slow_statements(log), load.answers()
    longest = 0.0
    for step in steps:
        wait, slow = longest_during(waits, step), longest_during(statements, step)
        longest = max(longest, wait.seconds if wait else 0.0)
        requests = during(answered, step)
        print(f"{step.app} {step.name}: {step.ended - step.began:.2f} s, {len(requests)} requests")  # noqa: T201
        print(f"  wait: {wait}\n  statement: {slow}\n  request: {requests[0] if requests else None}")  # noqa: T201
    return longest


def search_is_exact(load: Load) -> list[str]:
    """Each member finds each own post by its word, and no post by a word that is gone."""
    wrong = []
    for member in load.members:
        expected = [([post], word) for post, word in member.words.items()] + [([], word) for word in member.gone]
        for wanted, word in expected:
            found = [item["id"] for item in member.ask("GET", f"/api/search?q={word}").json()["items"]]
            if found != wanted:
                wrong.append(f"{word}: found {found}, not {wanted}")
    return wrong


@pytest.mark.parametrize("posts", [2_000, 50_000])
def test_the_site_is_upgraded_under_load_and_its_migrations_are_reversible(
    system: System, previous: Path, posts: int
) -> None:
    system.run("migrate", "manage.py", "migrate", "--verbosity", "0", code=previous)
    earlier = dict(system.cluster.ask("SELECT app, max(name) FROM django_migrations GROUP BY app"))
    earlier_schema = schema_of(system.cluster)
    write_content(system.cluster, posts=posts)
    log_statements(system.cluster)
    workers(system, "old", previous)
    balancer = Balancer()
    old_port = web(system, "old_web", balancer, previous)

    with loaded(balancer) as load:
        go_on(system, load, requests=200)
        with LockWatch(system.cluster) as watch:
            steps = migrate_beside_a_long_reader(system, load)
            began = time.time()
            system.run("partition", "manage.py", "partition", within=900)
            partitioning = Step("events", "manage.py partition", began, time.time())
        longest = report(system, load, [*steps, partitioning], watch)
        assert system.cluster.value(PARTITIONS) > 2
        go_on(system, load, requests=300)  # the previous release on this code's tables

        system.run("declare", "manage.py", "topology", "declare")
        workers(system, "new", None)
        new_port = web(system, "new_web", balancer, None)
        go_on(system, load, requests=300)
        back_fill(system, "beside")
        balancer.drain(old_port)
        system.release("old_web", "old_worker", "old_relay")
        go_on(system, load, requests=200)
        back_fill(system, "alone")
    system.run("agree", "-m", "tests.chaos.site.agree", "120", within=900)
    assert search_is_exact(load) == []

    asked = sorted(one.seconds for one in load.answers())
    statuses = Counter(one.status for one in load.answers())
    print(f"{len(asked)} requests {statuses}, median {asked[len(asked) // 2] * 1000:.0f} ms")  # noqa: T201
    failed = [str(one) for one in load.answers() if one.status >= 400 and one.status not in REFUSALS]
    assert failed + [str(one) for one in load.answers() if not one.status] == []
    assert errors(system.folder / "cluster" / "log") == []
    assert longest < LONGEST_LOCK_WAIT
    assert system.restarts == 0

    balancer.drain(new_port)
    system.release("new_web", "new_worker", "new_relay")
    system.run("plain_again", "manage.py", "partition", "--undo", within=900)
    schema = schema_of(system.cluster)
    for step in reversed(steps):
        before = {
            name for app, name in system.cluster.ask("SELECT app, name FROM django_migrations") if app == step.app
        }
        back = max(before - {step.name})
        system.run("migrate_back", "manage.py", "migrate", step.app, back, "--verbosity", "0")
    assert schema_of(system.cluster) == earlier_schema
    assert dict(system.cluster.ask("SELECT app, max(name) FROM django_migrations GROUP BY app")) == earlier

    old_port = web(system, "old_web_again", balancer, previous)
    for member in load.members:
        for _ in range(10):
            member.act()
    assert [str(one) for one in load.answers() if one.port == old_port and one.status >= 500] == []
    balancer.drain(old_port)
    system.release("old_web_again")

    system.run("migrate_again", "manage.py", "migrate", "--verbosity", "0")
    assert schema_of(system.cluster) == schema
