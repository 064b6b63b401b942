"""Deliveries that are done are committed by their worker alone: `inbox/seal.py` says why and how."""

from django.db import migrations

from ..db.names import app_label, function, table

LABEL = app_label(__name__)

POSTGRESQL = (
    """
    CREATE FUNCTION %(open)s(
        event_ids uuid[], subscribers text[], runs int[], attempts int[], new_state text, time_limit int
    ) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('events.seal', 'stands', true);
        RETURN %(write)s($1, $2, $3, $4, $5, $6);
    END $$
    """,
    # SET CONSTRAINTS … IMMEDIATE runs the trigger, too, but commits nothing.
    """
    CREATE FUNCTION %(refuse)s() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('events.seal', true) = 'stands' AND current_query() !~* 'set\\s+constraints' THEN
            RAISE EXCEPTION 'a subscriber sent a COMMIT: its transaction is committed by its worker'
            USING ERRCODE = 'invalid_transaction_termination',
            HINT = 'Use transaction.atomic() for savepoints, or atomic=False for work in several transactions.';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER %(trigger)s AFTER INSERT OR UPDATE ON %(delivery)s DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'done' AND current_setting('events.seal', true) = 'stands')
    EXECUTE FUNCTION %(refuse)s()
    """,
)
SQLITE = (
    """
    CREATE TABLE %(seal)s (
        id integer PRIMARY KEY AUTOINCREMENT,
        broken integer NOT NULL REFERENCES %(seal)s (id) DEFERRABLE INITIALLY DEFERRED
    )
    """,
)
NO_POSTGRESQL = (
    "DROP TRIGGER %(trigger)s ON %(delivery)s",
    "DROP FUNCTION %(refuse)s()",
    "DROP FUNCTION %(open)s(uuid[], text[], int[], int[], text, int)",
)
NO_SQLITE = ("DROP TABLE %(seal)s",)


def by_vendor(**statements):
    """An operation with other statements on each database."""

    def run(apps, schema_editor):
        delivery = apps.get_model(LABEL, "Delivery")
        names = {
            "delivery": table(delivery),
            "open": function(delivery, "open_deliveries"),
            "write": function(delivery, "write_deliveries"),
            "refuse": function(delivery, "refuse_commit"),
            "trigger": function(delivery, "delivery_sealed"),
            "seal": function(delivery, "seal"),
        }
        for statement in statements.get(schema_editor.connection.vendor, ()):
            schema_editor.execute(statement % names)

    return run


class Migration(migrations.Migration):
    dependencies = [(LABEL, "0005_lease_size_installation")]

    operations = [
        migrations.RunPython(
            by_vendor(postgresql=POSTGRESQL, sqlite=SQLITE), by_vendor(postgresql=NO_POSTGRESQL, sqlite=NO_SQLITE)
        )
    ]
