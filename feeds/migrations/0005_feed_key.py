"""Feed entries have one key, in the order in which feeds are read, in place of a number and two indexes more.

A table cannot be given a composite key, so that a new one takes its place.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

COPY = "INSERT INTO {to} (user_id, post_id, author_id, published_at) SELECT user_id, post_id, author_id, published_at FROM {source}"


def name_key(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER INDEX feeds_keyedfeedentry_pkey RENAME TO feeds_feedentry_pkey")


def unname_key(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER INDEX feeds_feedentry_pkey RENAME TO feeds_keyedfeedentry_pkey")


class Migration(migrations.Migration):
    dependencies = [("feeds", "0004_imports")]

    operations = [
        migrations.CreateModel(
            name="KeyedFeedEntry",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "user", "published_at", "post", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("published_at", models.DateTimeField(verbose_name="published")),
                ("author_id", models.BigIntegerField(verbose_name="author")),
                (
                    "post",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="feeds.post",
                        verbose_name="post",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="reader",
                    ),
                ),
            ],
            options={"verbose_name": "feed entry", "verbose_name_plural": "feed entries"},
        ),
        migrations.RunSQL(
            COPY.format(source="feeds_feedentry", to="feeds_keyedfeedentry"),
            COPY.format(source="feeds_keyedfeedentry", to="feeds_feedentry"),
        ),
        migrations.DeleteModel("FeedEntry"),
        migrations.RenameModel("KeyedFeedEntry", "FeedEntry"),
        migrations.RunPython(name_key, unname_key),
    ]
