"""A table of the forms that were sent, so that one form makes one thing."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feeds", "0014_removed_and_erased")]

    operations = [
        migrations.CreateModel(
            "SentForm",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=64, verbose_name="key")),
                ("digest", models.CharField(max_length=64, verbose_name="digest")),
                ("address", models.CharField(max_length=200, default="", db_default="", verbose_name="address")),
                ("sent_at", models.DateTimeField(default=django.utils.timezone.now, db_index=True, verbose_name="sent")),
                (
                    "user",
                    models.ForeignKey(
                        settings.AUTH_USER_MODEL,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sent_forms",
                        db_index=False,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "sent form",
                "verbose_name_plural": "sent forms",
                "constraints": [models.UniqueConstraint(fields=["user", "key"], name="feeds_sent_form_once")],
            },
        ),
    ]
