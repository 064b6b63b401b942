"""Search documents of folded and stemmed words. A later migration builds PostgreSQL's index over them.

The columns and the index of earlier versions stay: documents that `manage.py reindex` has not made anew are found by them,
and so are all others by processes of the earlier version.
"""

from django.db import migrations, models

COLUMNS = ("title_words", "body_words", "letters")
SQLITE = (
    """
    CREATE VIRTUAL TABLE feeds_searchwords USING fts5(
        title_words, body_words, content='feeds_searchdocument', content_rowid='post_id',
        tokenize="unicode61 remove_diacritics 0 categories 'L* N* M*'"
    )
    """,
    """
    CREATE TRIGGER feeds_words_written AFTER INSERT ON feeds_searchdocument BEGIN
        INSERT INTO feeds_searchwords (rowid, title_words, body_words)
        VALUES (new.post_id, new.title_words, new.body_words);
    END
    """,
    """
    CREATE TRIGGER feeds_words_removed AFTER DELETE ON feeds_searchdocument BEGIN
        INSERT INTO feeds_searchwords (feeds_searchwords, rowid, title_words, body_words)
        VALUES ('delete', old.post_id, old.title_words, old.body_words);
    END
    """,
    """
    CREATE TRIGGER feeds_words_rewritten AFTER UPDATE ON feeds_searchdocument BEGIN
        INSERT INTO feeds_searchwords (feeds_searchwords, rowid, title_words, body_words)
        VALUES ('delete', old.post_id, old.title_words, old.body_words);
        INSERT INTO feeds_searchwords (rowid, title_words, body_words)
        VALUES (new.post_id, new.title_words, new.body_words);
    END
    """,
    # The documents that are there: their words are empty.
    "INSERT INTO feeds_searchwords (feeds_searchwords) VALUES ('rebuild')",
)
TRIGGERS = ("feeds_words_written", "feeds_words_removed", "feeds_words_rewritten")


def add_words(apps, schema_editor):
    # Django would make SQLite's table anew, without its triggers.
    for column in COLUMNS:
        schema_editor.execute(f"ALTER TABLE feeds_searchdocument ADD COLUMN {column} text DEFAULT '' NOT NULL")
    if schema_editor.connection.vendor == "sqlite":
        for statement in SQLITE:
            schema_editor.execute(statement)


def drop_words(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        for trigger in TRIGGERS:
            schema_editor.execute(f"DROP TRIGGER {trigger}")
        schema_editor.execute("DROP TABLE feeds_searchwords")
    for column in COLUMNS:
        schema_editor.execute(f"ALTER TABLE feeds_searchdocument DROP COLUMN {column}")


class Migration(migrations.Migration):
    dependencies = [("feeds", "0015_sent_forms")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(add_words, drop_words)],
            [
                migrations.AddField(
                    "searchdocument", "title_words", models.TextField(db_default="", verbose_name="words of the title")
                ),
                migrations.AddField(
                    "searchdocument", "body_words", models.TextField(db_default="", verbose_name="words of the body")
                ),
                migrations.AddField("searchdocument", "letters", models.TextField(db_default="", verbose_name="letters")),
            ],
        )
    ]
