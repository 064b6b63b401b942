"""Health: whether this process answers, and whether it can serve."""

from __future__ import annotations

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

#: True once all migrations were found applied: a running process gets no new ones.
_migrated = False


@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200: the process answers. Reads nothing else: a broken database is no reason to kill the process."""
    return JsonResponse({"healthy": True})


@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 if the database answers and all migrations are applied, else 503. Staff also get the result of each check."""
    checks = {"database": _database()}
    if checks["database"] == "ok":
        checks["migrations"] = _migrations()
    ready = set(checks.values()) == {"ok"}
    details = {"checks": checks} if checks["database"] == "ok" and _by_staff(request) else {}
    return JsonResponse({"ready": ready, **details}, status=200 if ready else 503)


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
        if missing := unapplied_migrations():
            return f"not applied: {', '.join(missing)}"
        _migrated = True
    return "ok"


def unapplied_migrations() -> list[str]:
    """The migrations that are not applied to the database."""
    executor = MigrationExecutor(connection)
    return [str(migration) for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]


def _by_staff(request: HttpRequest) -> bool:
    try:
        return bool(request.user.is_active and request.user.is_staff)
    except Error:  # the tables of sessions and users are not there yet
        return False
