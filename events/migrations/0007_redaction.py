"""What is erased from the log is marked, and swept out of the queues."""

from django.db import migrations, models

from ..db.names import app_label


class Migration(migrations.Migration):
    dependencies = [(app_label(__name__), "0006_seal")]
    operations = [
        migrations.CreateModel(
            name="StaleEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("event_id", models.UUIDField(unique=True, verbose_name="event")),
                ("topic", models.CharField(max_length=100, verbose_name="topic")),
                ("at", models.DateTimeField(verbose_name="redacted")),
            ],
            options={"verbose_name": "stale event", "verbose_name_plural": "stale events"},
        ),
        migrations.AddField(
            model_name="storedevent",
            name="redacted_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="redacted"),
        ),
    ]
