"""What the names of circles look like, and that each look has one holder."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feeds", "0021_looks_of_users")]

    operations = [
        migrations.CreateModel(
            "CircleLook",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("look", models.CharField(editable=False, max_length=400, unique=True, verbose_name="look")),
                (
                    "holder",
                    models.ForeignKey(
                        "feeds.circle",
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="looks",
                        verbose_name="circle",
                    ),
                ),
            ],
            options={"verbose_name": "look of a circle", "verbose_name_plural": "looks of circles"},
        ),
    ]
