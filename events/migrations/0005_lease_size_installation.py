import uuid

from django.db import migrations, models

from ..db.names import app_label

LABEL = app_label(__name__)


class Migration(migrations.Migration):

    dependencies = [
        (LABEL, '0004_write_deliveries'),
    ]

    operations = [
        migrations.CreateModel(
            name='Installation',
            fields=[
                ('key', models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ('installation_id', models.UUIDField(default=uuid.uuid4, editable=False, verbose_name='installation')),
            ],
            options={
                'verbose_name': 'installation',
                'verbose_name_plural': 'installations',
            },
        ),
        migrations.CreateModel(
            name='RelayTerm',
            fields=[
                ('number', models.PositiveBigIntegerField(primary_key=True, serialize=False, verbose_name='number')),
                ('holder', models.CharField(max_length=200, verbose_name='holder')),
                ('started_at', models.DateTimeField(verbose_name='started')),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
            ],
            options={
                'verbose_name': 'relay term',
                'verbose_name_plural': 'relay terms',
            },
        ),
        migrations.AddField(
            model_name='outboxmessage',
            name='size',
            field=models.PositiveIntegerField(db_default=0, default=0, verbose_name='size'),
        ),
    ]
