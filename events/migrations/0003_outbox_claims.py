from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0002_operators'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(models.F('id'), condition=models.Q(('claimed', True)), name='events_outbox_claimed'),
        ),
    ]
