"""What the names of users look like, and that each look has one holder."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feeds", "0020_search_cost")]

    operations = [
        migrations.CreateModel(
            "UserLook",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("look", models.CharField(editable=False, max_length=400, unique=True, verbose_name="look")),
                (
                    "holder",
                    models.ForeignKey(
                        settings.AUTH_USER_MODEL,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="looks",
                        verbose_name="user",
                    ),
                ),
            ],
            options={"verbose_name": "look of a user", "verbose_name_plural": "looks of users"},
        ),
    ]
