from django.db import migrations, models

from ..db.names import app_label

LABEL = app_label(__name__)


class Migration(migrations.Migration):

    dependencies = [
        (LABEL, '0002_operators'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(models.F('id'), condition=models.Q(('claimed', True)), name='events_outbox_claimed'),
        ),
    ]
