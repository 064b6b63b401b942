"""Indexes that are built while others read and write: users by either address, regardless of case, and the words of
search documents, by an index that knows neither languages nor a longest text.

Interrupted, it is run again: what is there stays.
"""

from django.db import migrations, models
from django.db.models.functions import Upper

from events.db import build_index, drop_index

BY_ADDRESS = tuple(
    models.Index(Upper(column), name=f"feeds_user_{column}", condition=~models.Q(**{column: ""}))
    for column in ("email", "confirmed_email")
)
BY_WORD = "feeds_search_by_word"
BY_WORD_SQL = f"""
    CREATE INDEX {BY_WORD} ON feeds_searchdocument USING gin (
        string_to_array(btrim(title_words) || ' ' || btrim(body_words) || ' ' || letters, ' ')
    )
"""


def build(apps, schema_editor):
    user = apps.get_model("feeds", "User")
    for index in BY_ADDRESS:
        build_index(schema_editor.connection, str(index.create_sql(user, schema_editor)), name=index.name)
    if schema_editor.connection.vendor == "postgresql":
        build_index(schema_editor.connection, BY_WORD_SQL, name=BY_WORD)


def drop(apps, schema_editor):
    for name in (BY_WORD, *(index.name for index in BY_ADDRESS)):
        drop_index(schema_editor.connection, name=name)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("feeds", "0018_names_reserved")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(build, drop)],
            [migrations.AddIndex("user", index) for index in BY_ADDRESS],
        )
    ]
