"""Context processor: gives every template the user's stream."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from notifications.models import Stream


def stream(request: HttpRequest) -> dict[str, Any]:
    """`stream` of the signed-in user, for the number of unread notices; read by one query when a template uses it."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"stream": SimpleLazyObject(lambda: Stream.objects.filter(user=user).first() or Stream(user=user, epoch=""))}
