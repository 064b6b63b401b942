from django.db import migrations, models

from ..db.names import app_label

LABEL = app_label(__name__)


class Migration(migrations.Migration):

    dependencies = [
        (LABEL, '0008_attempt_subjects'),
    ]

    operations = [
        migrations.AddField(
            model_name='straggler',
            name='owed_since',
            field=models.DateTimeField(null=True, verbose_name='owed since'),
        ),
    ]
