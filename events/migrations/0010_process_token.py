"""A process is known by a token, since names return; and what processes have counted outlives their rows."""

from django.db import migrations, models

from ..db.names import app_label

LABEL = app_label(__name__)


def forget_processes(apps, schema_editor):
    """Two rows may have one name by now. Whoever lives writes its row again within seconds."""
    apps.get_model(LABEL, "Process").objects.using(schema_editor.connection.alias).all().delete()


class Migration(migrations.Migration):
    dependencies = [(LABEL, "0009_owed_since")]
    operations = [
        migrations.CreateModel(
            name="FoldedCounts",
            fields=[
                ("key", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("counts", models.JSONField(default=dict, verbose_name="counts")),
                ("folded", models.JSONField(default=dict, verbose_name="folded")),
            ],
            options={"verbose_name": "folded counts", "verbose_name_plural": "folded counts"},
        ),
        migrations.RemoveConstraint(model_name="process", name="events_process_once"),
        migrations.RunPython(migrations.RunPython.noop, forget_processes),
        migrations.AddField(
            model_name="process",
            name="token",
            field=models.UUIDField(editable=False, null=True, unique=True, verbose_name="token"),
        ),
    ]
