"""The admin of the event system."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.utils import timezone

import events.repair.backlog
from events.bus import emit, emit_many
from events.models import DeadLetter, Delivery, StoredEvent
from events.repair.announce import announce
from events.repair.backlog import backlogs
from events.testing import deliver
from tests.effects.events import Rang
from tests.effects.models import Effect

pytestmark = [pytest.mark.django_db, pytest.mark.home]


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("operator", password="x"))
    return client


def test_with_no_worker_running_the_admin_says_how_far_each_subscriber_is_behind(operator: Client) -> None:
    announce()
    with transaction.atomic():
        emit_many([Rang(number=number) for number in range(7)])
    page = operator.get("/admin/events/subscription/").content.decode()
    row = re.search(r"effects\.moody.*?</tr>", page, re.S)
    assert row
    assert '<td class="field-behind">7</td>' in row.group()
    assert re.search(r'field-oldest">\d+ seconds?<', row.group())
    deliver()
    assert {one.behind for one in backlogs()} == {0}


def test_a_backlog_beyond_what_is_counted_is_shown_as_a_lower_bound(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events.repair.backlog, "COUNTED_AT_MOST", 1_000)
    announce()
    with transaction.atomic():
        emit_many([Rang(number=number) for number in range(1_001)])
    StoredEvent.objects.update(time=timezone.now() - timedelta(hours=2))
    page = operator.get("/admin/events/subscription/").content.decode()
    row = re.search(r"effects\.moody.*?</tr>", page, re.S)
    assert row
    assert "&gt; 1,000 (about 1,001)" in row.group()
    assert '<td class="field-oldest">2\xa0hours</td>' in row.group()


def test_an_event_page_shows_payload_deliveries_and_what_it_caused(operator: Client) -> None:
    with transaction.atomic():
        emit(Rang(number=1, mood="<img onerror=alert(1)>"))
    deliver()
    event = StoredEvent.objects.get(topic="bell.rang")
    page = operator.get(f"/admin/events/storedevent/{event.pk}/change/").content.decode()
    assert "effects.moody" in page
    assert "&lt;img onerror" in page
    assert "<img onerror" not in page
    found = operator.get("/admin/events/storedevent/", {"q": "bell/1"}).content.decode()
    assert str(event.event_id) in found


def test_dead_letters_are_read_requeued_and_discarded(operator: Client) -> None:
    with transaction.atomic():
        emit_many([Rang(number=1, mood="hopeless"), Rang(number=2, mood="hopeless")])
    deliver()
    first, second = DeadLetter.objects.filter(state="dead", subscriber="effects.moody").order_by("id")
    page = operator.get(f"/admin/events/deadletter/{first.pk}/change/").content.decode()
    assert "PermanentFailure: no use" in page
    assert "raise FAILURES" in page

    StoredEvent.objects.filter(event_id=first.event_id).update(data={"number": 1, "mood": "calm"})
    chosen = {"action": "requeue", "_selected_action": [first.pk]}
    assert operator.post("/admin/events/deadletter/", chosen, follow=True).status_code == 200
    deliver()
    assert Delivery.objects.get(pk=first.pk).state == "done"
    assert Effect.objects.filter(subscriber="moody", number=1).count() == 1

    operator.post("/admin/events/deadletter/", {"action": "discard", "_selected_action": [second.pk]})
    assert Delivery.objects.get(pk=second.pk).state == "discarded"
    said = LogEntry.objects.order_by("pk").values_list("user__username", "object_id", "change_message")
    assert list(said) == [("operator", str(first.pk), "Requeued."), ("operator", str(second.pk), "Discarded.")]


def test_every_model_has_its_page(operator: Client) -> None:
    for name in (
        "storedevent",
        "outboxmessage",
        "delivery",
        "deadletter",
        "attempt",
        "subscription",
        "process",
        "straggler",
    ):
        assert operator.get(f"/admin/events/{name}/").status_code == 200, name
