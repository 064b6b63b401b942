"""A column is added once, however often a migration begins anew."""

from __future__ import annotations

import pytest
from django.db import connection, models
from django.db.migrations import CreateModel, DeleteModel
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from events.db import AddFieldOnce

pytestmark = pytest.mark.django_db(transaction=True)

ADD = AddFieldOnce("thing", "colour", models.CharField(max_length=10, default="", db_default=""))


def columns() -> list[str]:
    with connection.cursor() as cursor:
        return [one.name for one in connection.introspection.get_table_description(cursor, "scratch_thing")]


def run(operation: Operation, before: ProjectState, *, back: bool = False) -> ProjectState:
    """Run an operation of the app "scratch"; returns the state after it."""
    after = before.clone()
    operation.state_forwards("scratch", after)
    with connection.schema_editor(atomic=False) as editor:
        if back:
            operation.database_backwards("scratch", editor, after, before)
        else:
            operation.database_forwards("scratch", editor, before, after)
    return after


def test_what_is_done_is_passed_over_forwards_and_backwards() -> None:
    start = run(CreateModel("Thing", [("id", models.BigAutoField(primary_key=True))]), ProjectState())
    try:
        for _ in range(2):
            run(ADD, start)
            assert columns() == ["id", "colour"]
        for _ in range(2):
            run(ADD, start, back=True)
            assert columns() == ["id"]
    finally:
        run(DeleteModel("Thing"), start)
