"""Throttle: the limits of feeds.limits, in the form of django-ninja."""

from __future__ import annotations

from contextvars import ContextVar

from django.http import HttpRequest
from ninja.throttling import BaseThrottle

from feeds import limits
from feeds.limits import SAFE_METHODS, Limit


class Throttle(BaseThrottle):
    """Refuses requests above a limit. One object serves all threads, so the seconds to wait are kept per context."""

    def __init__(self) -> None:
        self._wait: ContextVar[int | None] = ContextVar("wait", default=None)

    def allow_request(self, request: HttpRequest) -> bool:
        limit = limits.READ if request.method in SAFE_METHODS else limits.WRITE
        return self._spend(limit, limits.client(request))

    def wait(self) -> int | None:
        return self._wait.get()

    def _spend(self, limit: Limit, client: str) -> bool:
        self._wait.set(limit.spend(client))
        return self._wait.get() is None


class PerAddress(Throttle):
    """One limit for each address, whatever the user: an attacker tries to sign in under many names."""

    def __init__(self, limit: Limit) -> None:
        super().__init__()
        self._limit = limit

    def allow_request(self, request: HttpRequest) -> bool:
        return self._spend(self._limit, limits.address(request))
