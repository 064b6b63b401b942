"""Counts remember when the score fell and from where, for those who read on in a ranked list."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feeds", "0006_pulled_sources")]

    operations = [
        migrations.AddField("entitycounts", "fell_at", models.DateTimeField(null=True, verbose_name="score last fell")),
        migrations.AddField("entitycounts", "score_before", models.IntegerField(null=True, verbose_name="score before")),
        migrations.AddField("entitycounts", "hot_before", models.FloatField(null=True, verbose_name="hot before")),
    ]
