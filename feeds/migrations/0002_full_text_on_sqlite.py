"""Full text on SQLite: the FTS5 table beside SearchDocument, its rowid the post's id."""

from django.db import migrations


def create_table(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(
            "CREATE VIRTUAL TABLE feeds_searchtext USING fts5(title, body, tokenize='porter unicode61 remove_diacritics 2')"
        )


def drop_table(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TABLE feeds_searchtext")


class Migration(migrations.Migration):
    dependencies = [("feeds", "0001_initial")]

    operations = [migrations.RunPython(create_table, drop_table)]
