"""Loading: what Django saves raw emits nothing, though the receivers ask for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core import serializers
from django.core.management import call_command
from django.db import transaction
from django.db.models.signals import m2m_changed, post_save

from events.bus import emit
from events.models import OutboxMessage, StoredEvent
from tests.effects.events import BalanceChanged, Rang
from tests.effects.models import Account, Effect

pytestmark = pytest.mark.django_db


@pytest.fixture
def ringing() -> Any:
    """Receivers that emit for every row, of models with and without the mixin, and for many-to-many relations."""

    def ring(**kwargs: Any) -> None:
        with transaction.atomic():
            emit(Rang(number=1))

    for signal, sender in ((post_save, Account), (post_save, Effect), (m2m_changed, Group.permissions.through)):
        signal.connect(ring, sender=sender)
    yield
    for signal, sender in ((post_save, Account), (post_save, Effect), (m2m_changed, Group.permissions.through)):
        signal.disconnect(ring, sender=sender)


def _is_silent() -> bool:
    return not StoredEvent.objects.exists() and not OutboxMessage.objects.exists()


@pytest.mark.usefixtures("ringing")
def test_loaddata_emits_nothing(tmp_path: Path) -> None:
    Account.objects.create(balance=5)
    Effect.objects.create(subscriber="nobody", number=1)
    Group.objects.create(name="ringers").permissions.add(Permission.objects.all()[0])
    assert StoredEvent.objects.exists()
    dump = tmp_path / "rows.json"
    call_command("dumpdata", "effects", "auth.group", output=str(dump))
    for model in (Account, Effect, Group, OutboxMessage, StoredEvent):
        model.objects.all().delete()
    call_command("loaddata", str(dump), verbosity=0)
    assert Account.objects.get().balance == 5
    assert Group.objects.get().permissions.count() == 1
    assert _is_silent()


@pytest.mark.usefixtures("ringing")
def test_a_row_that_is_deserialized_or_saved_raw_emits_nothing() -> None:
    with transaction.atomic():
        for one in serializers.deserialize("json", serializers.serialize("json", [Account(pk=7, balance=5)])):
            one.save()
        Account(pk=8, balance=6).save_base(raw=True)
    assert sorted(Account.objects.values_list("pk", "balance")) == [(7, 5), (8, 6)]
    assert _is_silent()


@pytest.mark.usefixtures("ringing")
def test_what_is_saved_afterwards_emits_again_also_after_a_failure() -> None:
    with pytest.raises(ValueError, match="expected a number"), transaction.atomic():
        Account(balance="much").save_base(raw=True)
    Account.objects.create(balance=5)
    assert set(StoredEvent.objects.values_list("topic", flat=True)) == {Rang.topic, BalanceChanged.topic}
