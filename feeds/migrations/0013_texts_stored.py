"""What is made of each text is stored beside it; `manage.py rerender` makes it for the texts that are there already."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('feeds', '0012_sessions_of_users'),
    ]

    operations = [
        migrations.CreateModel(
            name='CommentText',
            fields=[
                ('digest', models.CharField(max_length=32, verbose_name='digest')),
                ('version', models.PositiveSmallIntegerField(verbose_name='version')),
                ('html', models.TextField(verbose_name='HTML')),
                ('words', models.TextField(verbose_name='words')),
                ('opening', models.TextField(verbose_name='opening')),
                ('mentions', models.JSONField(default=list, verbose_name='mentions')),
                ('comment', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='text', serialize=False, to='feeds.comment', verbose_name='comment')),
            ],
            options={
                'verbose_name': 'text of a comment',
                'verbose_name_plural': 'texts of comments',
            },
        ),
        migrations.CreateModel(
            name='PostText',
            fields=[
                ('digest', models.CharField(max_length=32, verbose_name='digest')),
                ('version', models.PositiveSmallIntegerField(verbose_name='version')),
                ('html', models.TextField(verbose_name='HTML')),
                ('words', models.TextField(verbose_name='words')),
                ('opening', models.TextField(verbose_name='opening')),
                ('mentions', models.JSONField(default=list, verbose_name='mentions')),
                ('post', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='text', serialize=False, to='feeds.post', verbose_name='post')),
            ],
            options={
                'verbose_name': 'text of a post',
                'verbose_name_plural': 'texts of posts',
            },
        ),
    ]
