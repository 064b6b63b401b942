"""Counting: in Redis, or in this process if there is none or it is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TypeVar

from django.conf import settings

from feeds.limits.local import LocalCounts, Rate
from feeds.limits.remembered import RememberedKeys
from feeds.limits.shared import RedisLostError, SharedCounts

T = TypeVar("T")

_local = LocalCounts()
_remembered = RememberedKeys()


def spend(key: str, rates: Sequence[Rate]) -> float:
    """Count one request at all rates. Returns 0 or, if one refuses it, the seconds to wait; then none counts it."""
    return _count(lambda counts: counts.spend(key, rates))


def give_back(key: str, rates: Sequence[Rate]) -> None:
    """Take one counted request back."""
    _count(lambda counts: counts.give_back(key, rates))


def remember(key: str, seconds: int) -> None:
    """Keep a key for so many seconds, in this process and in Redis: one of the two may be lost."""
    _remembered.remember(key, seconds)
    if (shared := _shared()) is not None:
        with suppress(RedisLostError):
            shared.remember(key, seconds)


def remembers(key: str) -> bool:
    """Whether a key is kept."""
    if not _remembered.remembers(key) and (shared := _shared()) is not None:
        with suppress(RedisLostError):
            return shared.remembers(key)
    return _remembered.remembers(key)


def redis_state() -> str | None:
    """ "ok" if Redis answers, "degraded" if not; None if no Redis is set."""
    if (shared := _shared()) is None:
        return None
    try:
        shared.ping()
    except RedisLostError:
        return "degraded"
    return "ok"


def _count(work: Callable[[LocalCounts | SharedCounts], T]) -> T:
    if (shared := _shared()) is not None:
        with suppress(RedisLostError):
            return work(shared)
    return work(_local)


def _shared() -> SharedCounts | None:
    return _connected(settings.REDIS_URL, settings.REDIS_PREFIX) if settings.REDIS_URL else None


@lru_cache(maxsize=4)
def _connected(url: str, prefix: str) -> SharedCounts:
    return SharedCounts(url, prefix)
