"""Doctor: what Airy needs beside the events: Redis, and the fast drivers."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from urllib.parse import urlparse

import redis
from django.conf import settings

from events.doctor import examination
from events.errors import summary
from events.finding import Finding, Severity
from events.passwords import why_weak

#: Seconds that Redis gets to answer.
TIMEOUT = 5


@examination("Redis")
def redis_server() -> Iterator[Finding]:
    """Redis answers, where one is set, and does not let everybody in."""
    if not settings.REDIS_URL:
        return
    url = urlparse(settings.REDIS_URL)
    if url.hostname not in {"localhost", "127.0.0.1", "::1"} and (why := why_weak(url.password or "")):
        yield Finding(
            problem=f"The password of Redis at {url.hostname} {why}.",
            cure="Set one (requirepass, or an ACL), and REDIS_URL=redis://:password@host:6379.",
            severity=Severity.WARNING,
        )
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        ) as connection:
            connection.publish(f"{settings.REDIS_PREFIX}.doctor", b"")
    except redis.RedisError as error:
        yield Finding(
            problem=f"Redis does not answer: {summary(error)}",
            cure="Start it, or correct REDIS_URL. Until then pages work, and live push is up to "
            f"{settings.SOCKET_ROUND_SECONDS} s late.",
        )


@examination("Fast drivers")
def fast_drivers() -> Iterator[Finding]:
    """The compiled libraries that the server and live push use are installed."""
    for name, what in (("uvloop", "the event loop"), ("httptools", "HTTP"), ("hiredis", "messages from Redis")):
        if importlib.util.find_spec(name) is None:
            yield Finding(
                problem=f"{name} is not installed: {what} takes several times the processor time.",
                cure="Run `pip install -r requirements.txt`.",
                severity=Severity.WARNING,
            )
