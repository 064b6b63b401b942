"""PostgreSQL's index of search by a function whose cost is known: the planner thought it cheap to cut every text anew.

Interrupted, it is run again: what is there stays.
"""

from django.db import migrations

from events.db import build_index, drop_index

WORDS = "string_to_array(btrim(title_words) || ' ' || btrim(body_words) || ' ' || letters, ' ')"
# In PL/pgSQL, because a function in SQL is replaced by its body, which costs nothing to the planner.
FUNCTION = f"""
    CREATE OR REPLACE FUNCTION feeds_indexed_words(title_words text, body_words text, letters text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL RESTRICTED COST 10000
    AS $$ BEGIN RETURN {WORDS}; END $$
"""
EARLIER, NEW = "feeds_search_by_word", "feeds_search_by_words"
CREATE_INDEX = "CREATE INDEX {} ON feeds_searchdocument USING gin ({})"


def to_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION, params=None)
        by_function = CREATE_INDEX.format(NEW, "feeds_indexed_words(title_words, body_words, letters)")
        build_index(schema_editor.connection, by_function, name=NEW)
        drop_index(schema_editor.connection, name=EARLIER)


def to_expression(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        build_index(schema_editor.connection, CREATE_INDEX.format(EARLIER, WORDS), name=EARLIER)
        drop_index(schema_editor.connection, name=NEW)
        schema_editor.execute("DROP FUNCTION IF EXISTS feeds_indexed_words(text, text, text)")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("feeds", "0019_indexes_beside")]

    operations = [migrations.RunPython(to_function, to_expression)]
