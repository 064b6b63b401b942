"""Who removed a post or comment and why, and when its text was erased. Each column has a transaction of its own, so that
no lock is held while another table is waited for."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from events.db import AddFieldOnce


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('feeds', '0013_texts_stored'),
    ]

    operations = [
        AddFieldOnce(
            model_name='comment',
            name='erased_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='erased'),
        ),
        AddFieldOnce(
            model_name='comment',
            name='removal_reason',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=300, verbose_name='reason of the removal'),
        ),
        AddFieldOnce(
            model_name='comment',
            name='removed_by',
            field=models.ForeignKey(db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='removed by the moderator'),
        ),
        AddFieldOnce(
            model_name='post',
            name='erased_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='erased'),
        ),
        AddFieldOnce(
            model_name='post',
            name='removal_reason',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=300, verbose_name='reason of the removal'),
        ),
        AddFieldOnce(
            model_name='post',
            name='removed_by',
            field=models.ForeignKey(db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='removed by the moderator'),
        ),
    ]
