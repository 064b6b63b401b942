"""Health: whether this process answers, and whether it can serve."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from events.db import unapplied_migrations
from feeds.limits import redis_state

#: True once all migrations were found applied: a running process gets no new ones.
_migrated = False


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200: the process answers. Reads nothing else: a broken database is no reason to kill the process."""
    return JsonResponse({"healthy": True})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 if the database answers and all migrations are applied, else 503. Staff also get the result of each check.

    redis, if one is set: "ok", or "degraded" while it is lost. Airy serves without it, so it is no reason for a 503.
    """
    checks = {"database": _database()}
    if checks["database"] == "ok":
        checks["migrations"] = _migrations()
    ready = set(checks.values()) == {"ok"}
    details = {"checks": checks} if checks["database"] == "ok" and _by_staff(request) else {}
    redis = {} if (state := redis_state()) is None else {"redis": state}
    return JsonResponse({"ready": ready, **redis, **details}, status=200 if ready else 503)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        return str(error)
    return "ok"


def _migrations() -> str:
    global _migrated
    if not _migrated:
        if missing := unapplied_migrations(connection):
            return f"not applied: {', '.join(missing)}"
        _migrated = True
    return "ok"


def _by_staff(request: HttpRequest) -> bool:
    store: Any = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    request.session = store(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    try:
        user = get_user(request)
        return bool(user.is_active and getattr(user, "is_staff", False))
    except Error:  # the tables of sessions and users are not there yet
        return False
