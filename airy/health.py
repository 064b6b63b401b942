"""Health: does this process live, and can it serve?"""

from __future__ import annotations

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

#: Set once all migrations were found applied: the code of a process knows no more of them later.
_migrated = False


@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is asked, so that a broken database does not get it killed."""
    return JsonResponse({"healthy": True})


@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database answers and its migrations are applied, else 503; what is wrong is for staff."""
    checks = {"database": _database()}
    if checks["database"] == "ok":
        checks["migrations"] = _migrations()
    ready = set(checks.values()) == {"ok"}
    told = {"checks": checks} if checks["database"] == "ok" and _by_staff(request) else {}
    return JsonResponse({"ready": ready, **told}, status=200 if ready else 503)


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
    """The migrations that the database still wants."""
    executor = MigrationExecutor(connection)
    return [str(migration) for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]


def _by_staff(request: HttpRequest) -> bool:
    try:
        return bool(request.user.is_active and request.user.is_staff)
    except Error:  # the tables of sessions and users are not there yet
        return False
