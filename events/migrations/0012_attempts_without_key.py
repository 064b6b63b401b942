"""A partitioned inbox has no unique number that a foreign key could refer to; who deletes deliveries deletes their attempts."""

import django.db.models.deletion
from django.db import migrations, models

from ..db.names import app_label

LABEL = app_label(__name__)


class Migration(migrations.Migration):
    dependencies = [(LABEL, "0011_log_floor")]
    operations = [
        migrations.AlterField(
            model_name="attempt",
            name="delivery",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="failures",
                to=f"{LABEL}.delivery",
                verbose_name="delivery",
            ),
        ),
    ]
