"""Tokens have scopes, may expire, and end with the password. Tokens made before have no scopes and no mark yet."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feeds", "0009_uncounted_of_an_entity")]

    operations = [
        migrations.AddField(
            "apitoken",
            "scopes",
            models.CharField("scopes", max_length=50, default="", db_default="", editable=False),
        ),
        migrations.AddField("apitoken", "expires_at", models.DateTimeField("expires", null=True, editable=False)),
        migrations.AddField(
            "apitoken", "password_mark", models.CharField(max_length=64, default="", db_default="", editable=False)
        ),
    ]
