"""Unapplied: the migrations that a database has not had yet."""

from __future__ import annotations

from typing import Any

from django.db.migrations.executor import MigrationExecutor


def unapplied_migrations(connection: Any) -> list[str]:
    """The migrations of this code that are not applied to a database."""
    executor = MigrationExecutor(connection)
    return [str(migration) for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
