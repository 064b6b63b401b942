"""From where on the log is kept."""

from django.db import migrations, models

from ..db.names import app_label


class Migration(migrations.Migration):
    dependencies = [(app_label(__name__), "0010_process_token")]
    operations = [
        migrations.CreateModel(
            name="LogFloor",
            fields=[
                ("topic", models.CharField(max_length=100, primary_key=True, serialize=False, verbose_name="topic")),
                ("sequence", models.BigIntegerField(verbose_name="kept from number")),
                ("event_id", models.UUIDField(verbose_name="kept from id")),
                ("time", models.DateTimeField(verbose_name="kept from time")),
            ],
            options={"verbose_name": "floor of the log", "verbose_name_plural": "floors of the log"},
        ),
    ]
