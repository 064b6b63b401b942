"""Votes and ranks before each change, in place of the highest rank before the last falls; controversy is stored."""

import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.models.functions import Cast, Greatest, Least, Power

import feeds.models.counts


def work_out(apps, schema_editor):
    votes = Cast(models.F("upvotes") + models.F("downvotes"), models.FloatField())
    balance = Cast(Least("upvotes", "downvotes"), models.FloatField()) / Cast(
        Greatest("upvotes", "downvotes"), models.FloatField()
    )
    counts = apps.get_model("feeds", "EntityCounts").objects.using(schema_editor.connection.alias)
    counts.filter(upvotes__gt=0, downvotes__gt=0).update(controversy=Power(votes, balance))


class Migration(migrations.Migration):
    dependencies = [("feeds", "0007_counts_before")]

    operations = [
        migrations.CreateModel(
            name="EarlierCounts",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "entity_type",
                    models.CharField(
                        choices=[("post", "post"), ("comment", "comment")], max_length=7, verbose_name="of a"
                    ),
                ),
                ("entity_id", models.BigIntegerField(verbose_name="number")),
                ("upvotes", models.IntegerField(verbose_name="upvotes")),
                ("downvotes", models.IntegerField(verbose_name="downvotes")),
                ("score", models.IntegerField(verbose_name="score")),
                ("hot", models.FloatField(verbose_name="hot")),
                ("controversy", models.FloatField(verbose_name="controversy")),
                (
                    "transaction",
                    models.BigIntegerField(
                        db_default=feeds.models.counts.CurrentTransaction(), verbose_name="transaction"
                    ),
                ),
                (
                    "changed_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="changed"
                    ),
                ),
            ],
            options={
                "verbose_name": "earlier counts",
                "verbose_name_plural": "earlier counts",
                "indexes": [
                    models.Index(fields=["transaction"], name="feeds_earlier_transaction"),
                    models.Index(fields=["entity_type", "entity_id", "transaction"], name="feeds_earlier_entity"),
                ],
            },
        ),
        migrations.AddField(
            "entitycounts", "controversy", models.FloatField(default=0.0, verbose_name="controversy")
        ),
        migrations.RunPython(work_out, migrations.RunPython.noop),
        migrations.AddIndex(
            "entitycounts",
            models.Index(
                models.OrderBy(models.F("controversy"), descending=True),
                models.OrderBy(models.F("entity_id"), descending=True),
                condition=models.Q(("entity_type", "post")),
                name="entity_counts_controversy",
            ),
        ),
        migrations.RemoveField("entitycounts", "fell_at"),
        migrations.RemoveField("entitycounts", "score_before"),
        migrations.RemoveField("entitycounts", "hot_before"),
    ]
