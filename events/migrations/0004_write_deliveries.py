"""The inbox is written by a function of the database, which can be called together with the BEGIN."""

from django.db import migrations

#: One statement for any number of rows, planned once per session; it names the few that were final instead of the many
#: that were not. The limit (milliseconds per statement) lasts as long as the transaction and binds its later statements.
CREATE = """
    CREATE FUNCTION events_write_deliveries(
        event_ids uuid[], subscribers text[], runs int[], attempts int[], new_state text, time_limit int
    ) RETURNS text LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    DECLARE
        final text;
    BEGIN
        WITH given AS (
            SELECT * FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS given (event_id, subscriber, run, attempts, place)
        ), written AS (
            INSERT INTO events_delivery (event_id, subscriber, run, state, attempts, at, reason)
            SELECT event_id, subscriber, run, $5, attempts, statement_timestamp(), '' FROM given ORDER BY place
            ON CONFLICT (event_id, subscriber, run) DO UPDATE SET state = excluded.state, at = excluded.at,
                attempts = greatest(events_delivery.attempts, excluded.attempts)
            WHERE events_delivery.state = 'retrying' RETURNING event_id, subscriber, run
        )
        SELECT coalesce(string_agg(place::text, ' '), '') INTO final FROM given
        WHERE (event_id, subscriber, run) NOT IN (SELECT * FROM written);
        IF time_limit IS NOT NULL THEN
            PERFORM set_config('statement_timeout', time_limit::text, true);
        END IF;
        RETURN final;
    END $$
"""
DROP = "DROP FUNCTION events_write_deliveries(uuid[], text[], int[], int[], text, int)"


def on_postgresql(sql):
    """An operation for PostgreSQL alone."""

    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(sql)

    return run


class Migration(migrations.Migration):
    dependencies = [("events", "0003_outbox_claims")]

    operations = [migrations.RunPython(on_postgresql(CREATE), on_postgresql(DROP))]
