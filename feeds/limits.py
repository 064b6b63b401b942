"""Limit: how often one client may do something, counted in the cache in windows of fixed length."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `most` times within each `seconds`."""

    name: str
    most: int
    seconds: int

    def spend(self, client: str) -> int | None:
        """Count one more; returns the seconds to wait if that was too many, None if all is well.

        One increment in the cache: with Redis exact over all processes, with the in-process cache within one.
        """
        if not settings.RATE_LIMITS:
            return None
        window, passed = divmod(time.time(), self.seconds)
        key = f"limit/{self.name}/{client}/{window:.0f}"
        cache.add(key, 0, self.seconds)
        try:
            spent = cache.incr(key)
        except ValueError:  # expired, or evicted, in between
            return None
        return ceil(self.seconds - passed) if spent > self.most else None


REGISTER = Limit(name="register", most=10, seconds=3600)
LOGIN = Limit(name="login", most=10, seconds=60)
WRITE = Limit(name="write", most=60, seconds=60)
READ = Limit(name="read", most=600, seconds=60)


def address(request: HttpRequest) -> str:
    """Where a request comes from: behind a proxy the last address that it added, else that of the connection."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.BEHIND_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR") or "unknown"


def client(request: HttpRequest) -> str:
    """Who asks: the user, or somebody unknown at an address."""
    user = request.user
    return f"user/{user.pk}" if user.is_authenticated else f"address/{address(request)}"
