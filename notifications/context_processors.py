"""Bell: what every page shows of the notices."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from notifications.models import Stream


def bell(request: HttpRequest) -> dict[str, Any]:
    """A context processor: `bell`, the stream of who is signed in; one query, and only where a page shows it."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"bell": SimpleLazyObject(lambda: Stream.objects.filter(user=user).first() or Stream(user=user, epoch=""))}
