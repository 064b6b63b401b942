"""What a failed attempt may quote: the subject of its event, and what the event concerns. Of attempts of before only the
subject is written down."""

import django.db.models.deletion
from django.db import migrations, models

from ..db.names import app_label


def note_subjects(apps, schema_editor):
    attempts, events, subjects = (
        apps.get_model(app_label(__name__), name) for name in ("Attempt", "StoredEvent", "AttemptSubject")
    )
    using, last = schema_editor.connection.alias, 0
    rows = attempts.objects.using(using).order_by("pk").values_list("pk", "delivery__event_id")
    while chunk := list(rows.filter(pk__gt=last)[:500]):
        named = events.objects.using(using).filter(event_id__in=[event for _, event in chunk]).exclude(subject="")
        found = dict(named.values_list("event_id", "subject"))
        subjects.objects.using(using).bulk_create(
            [subjects(attempt_id=pk, subject=found[event]) for pk, event in chunk if event in found]
        )
        last = chunk[-1][0]


class Migration(migrations.Migration):
    dependencies = [(app_label(__name__), "0007_redaction")]
    operations = [
        migrations.CreateModel(
            name="AttemptSubject",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subject", models.CharField(max_length=200, verbose_name="subject")),
                (
                    "attempt",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="subjects",
                        to=f"{app_label(__name__)}.attempt",
                        verbose_name="failed attempt",
                    ),
                ),
            ],
            options={
                "verbose_name": "subject of a failed attempt",
                "verbose_name_plural": "subjects of failed attempts",
                "indexes": [models.Index("subject", name="events_attempt_subject")],
            },
        ),
        migrations.RunPython(note_subjects, migrations.RunPython.noop),
    ]
