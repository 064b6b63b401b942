"""Shared counts: the counts of all web processes, in Redis, by the same rule as `feeds.limits.local`.

Redis keeps each number as long as it says something, by its own clock. A Redis that fails or is slow is left alone for
PAUSE seconds, so that requests do not wait for it one after the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from feeds.limits.local import EARLY, Rate

logger = structlog.get_logger("feeds.limits")

T = TypeVar("T")

#: Seconds that a request waits for Redis at most, for the connection and for the answer.
WITHIN = 0.25
#: Seconds for which a Redis that failed is not asked again.
PAUSE = 2.0
#: Seconds between two warnings that Redis is lost.
QUIET = 60.0

#: ARGV: most and seconds of the rate of each key; at last the share of an interval by which a request may be early.
SPEND = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local wait, paid_at = 0, {}
for i, key in ipairs(KEYS) do
  local most, seconds = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  paid_at[i] = math.max(tonumber(redis.call('GET', key) or now), now) + seconds / most
  local ahead = paid_at[i] - now - seconds
  if ahead > ARGV[#ARGV] * seconds / most and ahead > wait then wait = ahead end
end
if wait == 0 then
  for i, key in ipairs(KEYS) do
    redis.call('SET', key, string.format('%.6f', paid_at[i]), 'PX', math.ceil((paid_at[i] - now) * 1000))
  end
end
return string.format('%.3f', wait)
"""

GIVE_BACK = """
for i, key in ipairs(KEYS) do
  local paid_at = redis.call('GET', key)
  if paid_at then
    redis.call('SET', key, string.format('%.6f', paid_at - ARGV[2 * i] / ARGV[2 * i - 1]), 'KEEPTTL')
  end
end
"""


class RedisLostError(Exception):
    """Redis does not answer, or did not a moment ago."""


class SharedCounts:
    """Counts in Redis. Each method raises RedisLostError."""

    def __init__(self, url: str, prefix: str) -> None:
        # A connection that Redis closed while it was idle is replaced once, at once; nothing else is tried again.
        once_more = Retry(NoBackoff(), 1, supported_errors=(LostConnectionError,))
        self._redis = Redis.from_url(url, socket_timeout=WITHIN, socket_connect_timeout=WITHIN, retry=once_more)
        self._spend = self._redis.register_script(SPEND)
        self._give_back = self._redis.register_script(GIVE_BACK)
        self._prefix = prefix
        self._lock = threading.Lock()
        self._ask_again_at = self._warn_again_at = 0.0
        self._lost = False

    def spend(self, key: str, rates: Sequence[Rate]) -> float:
        """Count one request at all rates. Returns 0 or, if one refuses it, the seconds to wait; then none counts it."""
        return float(self._ask(lambda: self._spend(keys=self._keys(key, rates), args=[*_flat(rates), EARLY])))

    def give_back(self, key: str, rates: Sequence[Rate]) -> None:
        """Take one counted request back."""
        self._ask(lambda: self._give_back(keys=self._keys(key, rates), args=_flat(rates)))

    def remember(self, key: str, seconds: int) -> None:
        """Keep a key for so many seconds."""
        self._ask(lambda: self._redis.set(f"{self._prefix}:limit/{key}", 1, ex=seconds))

    def remembers(self, key: str) -> bool:
        """Whether a key is kept."""
        return bool(self._ask(lambda: self._redis.exists(f"{self._prefix}:limit/{key}")))

    def ping(self) -> None:
        """Nothing, if Redis answers."""
        self._ask(self._redis.ping)

    def _keys(self, key: str, rates: Sequence[Rate]) -> list[str]:
        return [f"{self._prefix}:limit/{key}/{seconds}" for _most, seconds in rates]

    def _ask(self, question: Callable[[], T]) -> T:
        now = time.monotonic()
        with self._lock:
            if now < self._ask_again_at:
                raise RedisLostError
            if self._lost:  # one request asks whether Redis is back; the others do not wait with it
                self._ask_again_at = now + PAUSE
        try:
            answer = question()
        except (RedisError, OSError) as error:
            self._note_loss(error)
            raise RedisLostError from error
        if self._lost:
            self._lost, self._ask_again_at = False, 0.0
            logger.warning("redis is back; the limits are counted there again")
        return answer

    def _note_loss(self, error: Exception) -> None:
        now = time.monotonic()
        with self._lock:
            self._lost, self._ask_again_at = True, now + PAUSE
            warn = now >= self._warn_again_at
            if warn:
                self._warn_again_at = now + QUIET
        if warn:
            logger.warning("redis is lost; each process counts the limits by itself", error=repr(error))


def _flat(rates: Sequence[Rate]) -> list[int]:
    return [number for rate in rates for number in rate]
