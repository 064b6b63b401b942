"""Limits: how often one client may send a kind of request, counted in the cache in windows of fixed length."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `most` requests of one client in each window of `seconds`."""

    name: str
    most: int
    seconds: int

    def spend(self, client: str) -> int | None:
        """Count one request. Returns None if it is allowed, else the seconds until the next window.

        One increment in the cache: exact over all processes with Redis, within one process with the in-process cache.
        """
        if not settings.RATE_LIMITS:
            return None
        window, passed = divmod(time.time(), self.seconds)
        key = f"limit/{self.name}/{client}/{window:.0f}"
        cache.add(key, 0, self.seconds)
        try:
            spent = cache.incr(key)
        except ValueError:  # the key expired, or was evicted, since `add`
            return None
        return ceil(self.seconds - passed) if spent > self.most else None


#: Methods that change nothing.
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

REGISTER = Limit(name="register", most=10, seconds=3600)
LOGIN = Limit(name="login", most=10, seconds=60)
WRITE = Limit(name="write", most=60, seconds=60)
READ = Limit(name="read", most=600, seconds=60)


def address(request: HttpRequest) -> str:
    """The client's address: behind a proxy the last one in X-Forwarded-For, which the proxy added, else the peer's."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.BEHIND_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR") or "unknown"


def client(request: HttpRequest) -> str:
    """The client that a limit counts: the user or, if not signed in, the address."""
    user = request.user
    return f"user/{user.pk}" if user.is_authenticated else f"address/{address(request)}"
