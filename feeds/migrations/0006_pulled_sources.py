"""Pulled posts know their circle, and are found by author and by circle."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feeds", "0005_feed_key")]

    operations = [
        migrations.AddField("pulledpost", "circle_id", models.BigIntegerField(null=True, verbose_name="circle")),
        migrations.RunSQL(
            "UPDATE feeds_pulledpost SET circle_id = (SELECT circle_id FROM feeds_post WHERE feeds_post.id = post_id)",
            migrations.RunSQL.noop,
        ),
        migrations.AddIndex(
            "pulledpost",
            models.Index(
                models.F("author_id"),
                models.OrderBy(models.F("published_at"), descending=True),
                models.OrderBy(models.F("post"), descending=True),
                name="feeds_pulled_author",
            ),
        ),
        migrations.AddIndex(
            "pulledpost",
            models.Index(
                models.F("circle_id"),
                models.OrderBy(models.F("published_at"), descending=True),
                models.OrderBy(models.F("post"), descending=True),
                condition=models.Q(("circle_id__isnull", False)),
                name="feeds_pulled_circle",
            ),
        ),
    ]
