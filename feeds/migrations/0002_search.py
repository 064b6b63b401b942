"""The search documents and their full-text index: a generated tsvector on PostgreSQL, an FTS5 table on SQLite."""

import django.db.models.deletion
from django.db import migrations, models

POSTGRESQL = (
    """
    ALTER TABLE feeds_searchdocument ADD COLUMN tsv tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', body), 'B')
    ) STORED
    """,
    "CREATE INDEX feeds_search_words ON feeds_searchdocument USING gin (tsv)",
)
SQLITE = (
    """
    CREATE VIRTUAL TABLE feeds_searchtext USING fts5(
        title, body, content='feeds_searchdocument', content_rowid='post_id', tokenize='porter unicode61'
    )
    """,
    """
    CREATE TRIGGER feeds_search_written AFTER INSERT ON feeds_searchdocument BEGIN
        INSERT INTO feeds_searchtext (rowid, title, body) VALUES (new.post_id, new.title, new.body);
    END
    """,
    """
    CREATE TRIGGER feeds_search_removed AFTER DELETE ON feeds_searchdocument BEGIN
        INSERT INTO feeds_searchtext (feeds_searchtext, rowid, title, body)
        VALUES ('delete', old.post_id, old.title, old.body);
    END
    """,
    """
    CREATE TRIGGER feeds_search_rewritten AFTER UPDATE ON feeds_searchdocument BEGIN
        INSERT INTO feeds_searchtext (feeds_searchtext, rowid, title, body)
        VALUES ('delete', old.post_id, old.title, old.body);
        INSERT INTO feeds_searchtext (rowid, title, body) VALUES (new.post_id, new.title, new.body);
    END
    """,
)


def add_index(apps, schema_editor):
    for statement in {"postgresql": POSTGRESQL, "sqlite": SQLITE}[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


def drop_index(apps, schema_editor):
    # On PostgreSQL column and index, on SQLite the triggers go with the table itself.
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TABLE feeds_searchtext")


class Migration(migrations.Migration):
    dependencies = [("feeds", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="SearchDocument",
            fields=[
                (
                    "post",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="document",
                        serialize=False,
                        to="feeds.post",
                        verbose_name="post",
                    ),
                ),
                ("title", models.TextField(verbose_name="title")),
                ("body", models.TextField(verbose_name="body")),
            ],
            options={"verbose_name": "search document", "verbose_name_plural": "search documents"},
        ),
        migrations.RunPython(add_index, drop_index),
    ]
