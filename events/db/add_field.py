"""AddFieldOnce: add a column in a transaction of its own, which holds the lock of one table for a moment."""

from __future__ import annotations

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddField
from django.db.migrations.state import ProjectState


class AddFieldOnce(AddField):
    """For migrations with `atomic = False` that change several tables: who holds the lock of one table and waits for
    another's can meet a reader of both who began with the other.

    What an interrupted attempt has done is passed over, forwards and backwards.
    """

    atomic = True

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if not self._is_there(app_label, schema_editor, to_state):
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if self._is_there(app_label, schema_editor, from_state):
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    def _is_there(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, state: ProjectState) -> bool:
        model = state.apps.get_model(app_label, self.model_name)
        connection = schema_editor.connection
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(cursor, model._meta.db_table)
        return model._meta.get_field(self.name).column in {column.name for column in columns}
