"""What waits to be counted is found by what it is about, and by who did it among that."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feeds", "0008_earlier_counts")]

    operations = [
        migrations.AddIndex(
            "uncounted",
            models.Index(fields=["entity_type", "entity_id", "user"], name="feeds_uncounted_entity"),
        ),
        migrations.RemoveIndex("uncounted", "feeds_uncounted_own"),
    ]
