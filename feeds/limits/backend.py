"""Backend: signing in by password, with limited tries, wherever it happens: page, API and admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from feeds.limits.tries import attempt

if TYPE_CHECKING:
    from feeds.models import User


class LimitedBackend(ModelBackend):
    """Django's own backend, behind the limits on tries. It has the last word: no later backend is asked."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **more: Any
    ) -> User | None:
        """The user. Raises PermissionDenied if name or password is wrong, and TooOftenError."""
        if username is None or password is None:
            return None
        tried = attempt(request, username)
        user = super().authenticate(request, username=username, password=password, **more)
        if user is None:
            tried.failed()
            raise PermissionDenied
        tried.succeeded()
        return user

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **more: Any
    ) -> User | None:
        """The same; the inherited one would go past the limits."""
        return await sync_to_async(self.authenticate)(request, username, password, **more)
