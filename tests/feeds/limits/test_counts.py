"""Counts: alike in Redis and in the process, and bounded."""

import threading
import uuid
from collections.abc import Callable

import pytest

from feeds.limits import counting
from feeds.limits.local import LocalCounts
from feeds.limits.remembered import RememberedKeys
from feeds.limits.shared import PAUSE, WITHIN, RedisLostError, SharedCounts
from tests.environment import SERVICES
from tests.support.logs import captured_logs
from tests.support.servers.redis import RedisServer

Counts = LocalCounts | SharedCounts
SLOW, FAST = ((3, 86_400),), ((1, 1),)


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.redis)])
def counts(request: pytest.FixtureRequest) -> Counts:
    return LocalCounts() if request.param == "local" else SharedCounts(SERVICES["redis"], f"test-{uuid.uuid4()}")


def test_a_client_may_ask_so_often_and_is_told_how_long_to_wait(counts: Counts) -> None:
    assert [counts.spend("alice", SLOW) for _ in range(3)] == [0, 0, 0]
    assert counts.spend("alice", SLOW) == pytest.approx(86_400 / 3, rel=0.01)
    assert counts.spend("bob", SLOW) == 0


def test_it_may_ask_again_after_the_wait(counts: Counts, eventually: Callable[..., None]) -> None:
    assert counts.spend("alice", FAST) == 0
    assert 0 < counts.spend("alice", FAST) <= 1
    eventually(lambda: counts.spend("alice", FAST) == 0, within=5)


def test_a_refused_request_costs_nothing(counts: Counts) -> None:
    rates = ((5, 60), (2, 3600))
    assert [counts.spend("alice", rates) for _ in range(2)] == [0, 0]
    first = counts.spend("alice", rates)
    for _ in range(20):
        assert 0 < counts.spend("alice", rates) <= first


def test_the_pause_grows_from_rate_to_rate(counts: Counts) -> None:
    rates = ((2, 10), (4, 3600))
    for _ in range(2):
        counts.spend("alice", rates)
    assert counts.spend("alice", rates) <= 10
    longer = ((4, 3600),)
    for _ in range(2):
        counts.spend("alice", longer)
    assert counts.spend("alice", rates) > 800


def test_what_is_given_back_can_be_spent_again(counts: Counts) -> None:
    for _ in range(3):
        counts.spend("alice", SLOW)
    counts.give_back("alice", SLOW)
    counts.give_back("nobody", SLOW)
    assert counts.spend("alice", SLOW) == 0
    assert counts.spend("alice", SLOW) > 0


def test_many_at_once_are_no_more_than_one_after_the_other(counts: Counts) -> None:
    start, allowed = threading.Barrier(8), []

    def spend() -> None:
        start.wait(10)
        allowed.extend(counts.spend("alice", ((10, 86_400),)) == 0 for _ in range(5))

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 10


@pytest.mark.parametrize("where", ["process", pytest.param("redis", marks=pytest.mark.redis)])
def test_a_key_is_remembered_for_its_time(where: str, eventually: Callable[..., None]) -> None:
    keys = RememberedKeys() if where == "process" else SharedCounts(SERVICES["redis"], f"test-{uuid.uuid4()}")
    assert not keys.remembers("alice at home")
    keys.remember("alice at home", 1)
    assert keys.remembers("alice at home")
    eventually(lambda: not keys.remembers("alice at home"), within=5)


def test_the_newest_keys_are_remembered_and_no_more() -> None:
    keys = RememberedKeys(most=100)
    for number in range(5_000):
        keys.remember(f"address-{number}", 60)
    keys.remember("address-4900", 60)
    keys.remember("one more", 60)
    assert len(keys) == 100
    assert keys.remembers("address-4900")
    assert not keys.remembers("address-4901")


def test_what_is_remembered_takes_no_place_among_the_counts(limited, monkeypatch: pytest.MonkeyPatch) -> None:
    limited()
    monkeypatch.setattr(counting, "_local", LocalCounts(most_keys=10))
    monkeypatch.setattr(LocalCounts, "OVERFLOW", 1)
    for number in range(20):
        counting.remember(f"alice/address-{number}", 86_400)
    assert [counting.spend(client, ((1, 60),)) for client in ("bob", "carol", "dave")] == [0, 0, 0]


def test_the_keys_of_a_process_are_bounded_and_crowding_gives_no_new_tries() -> None:
    counts = LocalCounts(most_keys=100)
    for _ in range(3):
        counts.spend("victim", SLOW)
    for number in range(20_000):
        counts.spend(f"address-{number}", SLOW)
    assert len(counts) <= 100 + LocalCounts.OVERFLOW
    assert counts.spend("victim", SLOW) > 0
    assert sum(counts.spend(f"late-{number}", SLOW) == 0 for number in range(5_000)) == 0


def test_keys_that_say_nothing_any_more_make_room(eventually: Callable[..., None]) -> None:
    counts = LocalCounts(most_keys=100)
    for number in range(100):
        counts.spend(f"address-{number}", ((1000, 1),))
    eventually(lambda: counts.spend("new", SLOW) == 0 and len(counts) < 10, within=5)


@pytest.mark.redis
def test_a_lost_redis_is_left_alone_for_a_moment_and_then_found_again(
    own_redis: RedisServer, eventually: Callable[..., None]
) -> None:
    counts = SharedCounts(own_redis.url, "airy")
    counts.spend("alice", SLOW)
    own_redis.kill()
    with captured_logs("feeds.limits") as lines:
        for _ in range(100):
            with pytest.raises(RedisLostError):
                counts.spend("alice", SLOW)
    assert len(lines) == 1
    own_redis.start()
    eventually(lambda: _spends(counts), within=PAUSE + 5)


@pytest.mark.redis
def test_a_redis_that_hangs_costs_one_short_wait(own_redis: RedisServer) -> None:
    import time

    counts = SharedCounts(own_redis.url, "airy")
    counts.spend("alice", SLOW)
    own_redis.freeze()
    begun = time.monotonic()
    for _ in range(1000):
        with pytest.raises(RedisLostError):
            counts.spend("alice", SLOW)
    assert time.monotonic() - begun < WITHIN + 1


@pytest.mark.redis
def test_a_restarted_redis_is_not_taken_for_a_lost_one(own_redis: RedisServer) -> None:
    counts = SharedCounts(own_redis.url, "airy")
    counts.spend("alice", SLOW)
    own_redis.kill()
    own_redis.start()
    assert counts.spend("alice", SLOW) == 0


@pytest.mark.redis
def test_without_redis_the_limits_hold_in_the_process(settings, limited, own_redis: RedisServer) -> None:
    limited()
    settings.REDIS_URL = own_redis.url
    assert counting.redis_state() == "ok"
    own_redis.kill()
    assert [counting.spend("alice", SLOW) == 0 for _ in range(5)] == [True, True, True, False, False]
    assert counting.redis_state() == "degraded"


def _spends(counts: SharedCounts) -> bool:
    try:
        counts.ping()
    except RedisLostError:
        return False
    return True
