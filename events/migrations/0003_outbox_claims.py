from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0001_initial'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(models.F('id'), condition=models.Q(('claimed', True)), name='events_outbox_claimed'),
        ),
    ]
