"""Routers that send reads elsewhere change nothing: log, outbox and inbox are read where they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction
from django.db.models.signals import post_delete
from django.test import Client, override_settings

from events.bus import emit
from events.models import Attempt, Delivery, OutboxMessage, StoredEvent
from events.outbox.emit import EmitOutsideTransactionError
from events.testing import deliver, emitted
from feeds.models import User
from tests.effects.events import BalanceChanged, Rang
from tests.effects.models import Account, Effect
from tests.support.effects import ring, ring_moods
from tests.support.sessions import another_connection

pytestmark = pytest.mark.django_db(transaction=True)
READ_ONLY = {
    "postgresql": {"options": "-c default_transaction_read_only=on"},
    "sqlite": {"init_command": "PRAGMA query_only=ON"},
}


class ReadsFromTheReplica:
    """As Django's documentation shows it."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, *objects: Any, **hints: Any) -> bool:
        return True


@pytest.fixture(params=["writable", "read-only"])
def replica(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Another alias of the same database, to which a router sends all reads."""
    options = READ_ONLY[connection.vendor] if request.param == "read-only" else {}
    with (
        another_connection("replica", OPTIONS=options) as other,
        override_settings(DATABASE_ROUTERS=[ReadsFromTheReplica()]),
    ):
        yield other


def effects() -> Counter[tuple[str, int]]:
    return Counter(Effect.objects.using("default").values_list("subscriber", "number"))


@pytest.mark.usefixtures("replica")
def test_each_event_has_one_effect_though_subscribers_fail_in_between() -> None:
    ring_moods("twice", "calm", "poison", "hopeless")
    deliver()
    assert effects() == Counter(
        {(name, number): 1 for name in ("alone", "with_await") for number in range(4)}
        | {("moody", 0): 1, ("moody", 1): 1}
        | {("in_batches", number): 1 for number in (0, 1, 3)}
    )
    assert not OutboxMessage.objects.exists()
    assert Delivery.objects.filter(state="dead").count() == 3


@pytest.mark.usefixtures("replica")
def test_a_second_delivery_finds_what_the_first_one_recorded() -> None:
    ring(20)
    deliver(times=2)
    assert set(effects().values()) == {1}


def test_nothing_of_events_asks_the_replica(replica: Any) -> None:
    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        pytest.fail(f"asked the replica: {sql}") if '"events_' in sql else None
        return execute(sql, *rest)

    with replica.execute_wrapper(refuse):
        ring_moods("poison", "twice")
        deliver()
        assert len(emitted(Rang)) == 2
        letter = Delivery.objects.filter(state="dead").first()
        assert letter is not None
        letter.refresh_from_db()
        attempt = letter.failures.first()
        assert attempt is not None
        assert Attempt.objects.get(pk=attempt.pk).delivery == letter
        call_command("dead_letters", "list")
        call_command("dead_letters", "requeue", "--everything", "--yes")
        with pytest.raises(CommandError, match="has done all 2 events"):
            call_command("replay", "effects.alone", "--everything", "--dry-run")
        deliver()
        boss = User.objects.db_manager("default").create_superuser("boss", password="x")
        browser = Client()
        with override_settings(DATABASE_ROUTERS=[]):
            browser.force_login(boss)
        for page in ("storedevent", "outboxmessage", "delivery", "deadletter", "process", "subscription"):
            assert browser.get(f"/admin/events/{page}/").status_code == 200
        newest = StoredEvent.objects.latest("pk").pk
        assert browser.get(f"/admin/events/storedevent/{newest}/change/").status_code == 200


def test_each_table_of_events_is_read_where_it_is_written(replica: Any) -> None:
    for model in apps.get_app_config("events").get_models():
        for manager in (model._default_manager, model._base_manager):
            assert manager.get_queryset().db == "default", model
            assert manager.using("replica").db == "replica", model


def test_a_read_only_replica_really_is_one() -> None:
    replica = another_connection("replica", OPTIONS=READ_ONLY[connection.vendor])
    with replica, pytest.raises(DatabaseError), transaction.atomic(using="replica"):
        Effect.objects.using("replica").create(subscriber="x", number=1)


class AccountsElsewhere:
    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "shopdb" if model is Account else None

    db_for_read = db_for_write


@pytest.fixture
def shopdb() -> Iterator[Any]:
    """A second database, as far as Django knows, with the accounts."""
    with another_connection("shopdb") as other, override_settings(DATABASE_ROUTERS=[AccountsElsewhere()]):
        yield other


@pytest.mark.usefixtures("shopdb")
@pytest.mark.parametrize("around", [None, "shopdb", pytest.param("default", marks=pytest.mark.postgres)])
@pytest.mark.parametrize("way", ["save", "delete"])
def test_a_model_in_another_database_than_its_events_is_refused_by_both_names(around: str | None, way: str) -> None:
    written = "Account is written to 'shopdb', events to 'default'"
    if way == "delete":
        post_delete.connect(tell_of_the_end, sender=Account)
    account = Account(balance=5 if way == "save" else 0)
    try:
        if way == "delete":
            account.save()
        outer = transaction.atomic(using=around) if around else nullcontext()
        with pytest.raises(EmitOutsideTransactionError, match=written), outer:
            account.save() if way == "save" else account.delete()
    finally:
        post_delete.disconnect(tell_of_the_end, sender=Account)
    assert not StoredEvent.objects.exists()


def test_a_transaction_on_another_database_than_the_events_is_named(
    shopdb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shopdb.ensure_connection()
    monkeypatch.setitem(connections.settings, "shopdb", shopdb.settings_dict)
    refused = pytest.raises(EmitOutsideTransactionError, match=r"on 'shopdb', and events are written to 'default'")
    with refused, transaction.atomic(using="shopdb"):
        emit(Rang(number=1))


@pytest.mark.usefixtures("shopdb")
def test_a_save_that_names_the_events_database_is_fine() -> None:
    Account(balance=5).save(using="default")
    assert len(emitted(BalanceChanged)) == 1


def tell_of_the_end(instance: Account, **kwargs: Any) -> None:
    emit(BalanceChanged(account_id=instance.pk, before=0, after=0))
