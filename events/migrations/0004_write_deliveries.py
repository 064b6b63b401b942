"""The inbox is written by a function of the database, which can be called together with the BEGIN."""

from django.db import migrations

from ..db.names import app_label, function, table

LABEL = app_label(__name__)

#: One statement for any number of rows, planned once per session. It returns the places of the rows that were final: they
#: are few. The limit, in milliseconds per statement, applies to the later statements of the transaction.
CREATE = """
    CREATE FUNCTION %(function)s(
        event_ids uuid[], subscribers text[], runs int[], attempts int[], new_state text, time_limit int
    ) RETURNS text LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    DECLARE
        final text;
    BEGIN
        WITH given AS (
            SELECT * FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS given (event_id, subscriber, run, attempts, place)
        ), written AS (
            INSERT INTO %(delivery)s AS delivery (event_id, subscriber, run, state, attempts, at, reason)
            SELECT event_id, subscriber, run, $5, attempts, statement_timestamp(), '' FROM given ORDER BY place
            ON CONFLICT (event_id, subscriber, run) DO UPDATE SET state = excluded.state, at = excluded.at,
                attempts = greatest(delivery.attempts, excluded.attempts)
            WHERE delivery.state = 'retrying' RETURNING event_id, subscriber, run
        )
        SELECT coalesce(string_agg(place::text, ' '), '') INTO final FROM given
        WHERE (event_id, subscriber, run) NOT IN (SELECT * FROM written);
        IF time_limit IS NOT NULL THEN
            PERFORM set_config('statement_timeout', time_limit::text, true);
        END IF;
        RETURN final;
    END $$
"""
DROP = "DROP FUNCTION %(function)s(uuid[], text[], int[], int[], text, int)"


def on_postgresql(sql):
    """An operation for PostgreSQL alone."""

    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            delivery = apps.get_model(LABEL, "Delivery")
            names = {"function": function(delivery, "write_deliveries"), "delivery": table(delivery)}
            schema_editor.execute(sql % names)

    return run


class Migration(migrations.Migration):
    dependencies = [(LABEL, "0003_outbox_claims")]

    operations = [migrations.RunPython(on_postgresql(CREATE), on_postgresql(DROP))]
