"""The address that a user has confirmed. The indexes of both addresses are built by a later migration."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feeds", "0010_tokens_have_scopes_and_end")]

    operations = [
        migrations.AddField(
            "user",
            "confirmed_email",
            models.EmailField(
                "confirmed email",
                max_length=254,
                blank=True,
                default="",
                db_default="",
                help_text="The person has shown that this address is theirs. Links to a new password are sent to it.",
            ),
        ),
    ]
