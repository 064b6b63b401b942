"""The second factor of a user, and its recovery codes."""

import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from events.bus import EventSource


class Migration(migrations.Migration):
    dependencies = [("feeds", "0016_search_words")]

    operations = [
        migrations.CreateModel(
            "SecondFactor",
            [
                ("id", models.BigAutoField("ID", auto_created=True, primary_key=True, serialize=False)),
                ("sealed_secret", models.TextField("sealed secret", editable=False)),
                ("last_step", models.BigIntegerField("last step", default=0, db_default=0, editable=False)),
                (
                    "failures",
                    models.PositiveIntegerField("wrong codes in a row", default=0, db_default=0, editable=False),
                ),
                ("failed_at", models.DateTimeField("last wrong code", null=True, editable=False)),
                ("created_at", models.DateTimeField("since", default=django.utils.timezone.now, editable=False)),
                (
                    "user",
                    models.ForeignKey(
                        settings.AUTH_USER_MODEL, models.CASCADE, related_name="factors", verbose_name="user"
                    ),
                ),
            ],
            options={
                "verbose_name": "second factor",
                "verbose_name_plural": "second factors",
                "constraints": [models.UniqueConstraint(fields=["user"], name="feeds_one_factor")],
            },
            bases=(EventSource, models.Model),
        ),
        migrations.CreateModel(
            "RecoveryCode",
            [
                ("id", models.BigAutoField("ID", auto_created=True, primary_key=True, serialize=False)),
                ("digest", models.CharField("digest", max_length=64, editable=False)),
                (
                    "factor",
                    models.ForeignKey(
                        "feeds.SecondFactor",
                        models.CASCADE,
                        related_name="recovery_codes",
                        verbose_name="second factor",
                    ),
                ),
            ],
            options={
                "verbose_name": "recovery code",
                "verbose_name_plural": "recovery codes",
                "constraints": [
                    models.UniqueConstraint(fields=["factor", "digest"], name="feeds_recovery_code_once")
                ],
            },
        ),
    ]
