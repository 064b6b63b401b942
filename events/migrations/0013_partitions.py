"""On PostgreSQL log and inbox are partitioned by time. Where they have many rows already, this is left to
`manage.py partition`, and plain tables remain until then."""

from django.db import migrations

from ..db.names import app_label
from ..repair.partitions import FEW_ROWS, Pair

LABEL = app_label(__name__)


def pair(apps, schema_editor):
    models = (apps.get_model(LABEL, name) for name in ("StoredEvent", "Delivery"))
    return Pair(*models, using=schema_editor.connection.alias)


def partition(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    both = pair(apps, schema_editor)
    if not both.is_partitioned() and not both.reshape_few(partitioned=True):
        print(f"\n    Log and inbox have more than {FEW_ROWS:,} rows: run `manage.py partition` beside the site.")


def make_plain(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    both = pair(apps, schema_editor)
    if both.is_begun():
        raise RuntimeError("`manage.py partition` is under way: let it end first.")
    if both.is_partitioned() and not both.reshape_few(partitioned=False):
        raise RuntimeError(f"Log and inbox have more than {FEW_ROWS:,} rows: run `manage.py partition --undo` first.")


class Migration(migrations.Migration):
    dependencies = [(LABEL, "0012_attempts_without_key")]
    operations = [migrations.RunPython(partition, make_plain)]
