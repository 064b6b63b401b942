"""Prune: what is older than its keep time goes; nothing undone is lost, and nothing takes effect twice."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from collections import Counter
from functools import partial
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connection
from django.utils import timezone

from events.brokers.embedded import EmbeddedBroker
from events.bus import subscriber
from events.inbox.delivery import DeliveryFailedError, process
from events.inbox.message import ReceivedMessage
from events.inbox.retry import record_failures
from events.models import (
    Attempt,
    AttemptSubject,
    DeadLetter,
    Delivery,
    LogFloor,
    OutboxMessage,
    StoredEvent,
    Straggler,
    Subscription,
)
from events.repair import prune as pruning
from events.repair.announce import announce
from events.repair.dead_letters import discard, requeue
from events.repair.prune import PrunedTopic, PruneRefusedError, prune
from events.repair.reconcile import Reconciler
from events.repair.replay import ReplayRefusedError, events_for
from events.subscription import subscriptions
from events.testing import deliver
from tests.effects.events import BalanceChanged, Knocked, Rang
from tests.effects.models import Effect
from tests.support.command_output import command_output
from tests.support.effects import SUBSCRIBERS, assert_one_effect_each, ring
from tests.support.old_events import emit_ago, message_to, received, ring_ago
from tests.support.own_subscribers import own_subscribers

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
run = partial(command_output, "prune")


@pytest.fixture(autouse=True)
def votes_are_kept_for_thirty_days(settings: Any) -> None:
    settings.EVENTS_KEEP = {"bell.*": 30 * DAY}
    announce()


def pruned() -> dict[str, PrunedTopic]:
    return {one.topic: one for one in prune()}


def held(topic: str = "bell.rang") -> dict[str, int]:
    """The number of events that each holder holds up now."""
    found = {one.topic: one for one in prune(dry_run=True)}
    return {holder: one.count for holder, one in found[topic].held.items()} if topic in found else {}


def effects(name: str) -> list[int]:
    return sorted(Effect.objects.filter(subscriber=name).values_list("number", flat=True))


def test_an_event_goes_with_all_that_belongs_to_it_once_its_keep_time_is_over() -> None:
    old = ring_ago(31 * DAY, 2, mood="twice") + ring_ago(31 * DAY, 3, start=2)
    young = ring_ago(29 * DAY, 2, start=5)
    other = emit_ago(400 * DAY, Knocked(number=1))
    with connection.cursor() as cursor:  # whose gate nobody keeps
        cursor.execute("SELECT 1")
    OutboxMessage.objects.filter(event_id__in=other).delete()
    deliver()
    assert Attempt.objects.exists()
    assert pruned()["bell.rang"].gone == len(old)
    assert set(StoredEvent.objects.values_list("event_id", flat=True)) == {*young, *other}
    assert set(Delivery.objects.values_list("event_id", flat=True)) == set(young)
    assert not Attempt.objects.exists()
    assert not AttemptSubject.objects.exists()
    assert pruned() == {}
    assert effects("moody") == list(range(7))


def test_a_dry_run_changes_nothing_and_says_how_many_would_go() -> None:
    ring_ago(31 * DAY, 3)
    ring(1, start=3)
    deliver()
    assert "3" in run("--dry-run")
    assert StoredEvent.objects.count() == 4
    assert not LogFloor.objects.exists()
    assert "30 days" in run()
    assert StoredEvent.objects.count() == 1
    assert "No event is older than its keep time." in run()


def test_without_a_keep_time_nothing_goes_and_the_command_says_how_to_set_one(settings: Any) -> None:
    settings.EVENTS_KEEP = {}
    ring_ago(3_000 * DAY, 2)
    deliver()
    assert "EVENTS_KEEP='*=365d, vote.*=30d'" in run()
    assert StoredEvent.objects.count() == 2


def test_the_last_event_of_the_log_stays_so_that_its_end_is_known() -> None:
    ring_ago(31 * DAY, 3)
    deliver()
    newest = StoredEvent.objects.newest()
    assert pruned()["bell.rang"].gone == 2
    assert StoredEvent.objects.newest() == newest


def test_a_subscription_that_is_behind_holds_up_what_it_wants_and_is_named() -> None:
    ring_ago(31 * DAY, 3)
    ring(1, start=3)
    assert held() == {"(outbox)": 3} | dict.fromkeys(
        ("effects.moody", "effects.in_batches", "effects.alone", "effects.asynchronous"), 3
    )
    deliver()
    Delivery.objects.filter(subscriber="effects.alone", event_id=StoredEvent.objects.earliest("pk").event_id).delete()
    said = run()
    assert "effects.alone" in said
    assert "it is behind" in said
    assert StoredEvent.objects.count() == 2, "the others went"
    assert effects("alone") == list(range(4))


def test_what_a_subscription_never_wanted_it_does_not_hold_up() -> None:
    ring_ago(31 * DAY, 3)
    ring(1, start=3)
    deliver()
    with own_subscribers():

        @subscriber("bell.*", name=f"effects.late_{uuid.uuid4().hex[:8]}")
        def late(event: Rang) -> None:
            """Subscribed after they rang."""

        announce()
        assert pruned()["bell.rang"].gone == 3


def test_a_subscription_without_code_holds_up_until_it_was_not_seen_for_thirty_days() -> None:
    row = Subscription.objects.create(name="shop.gone", queue="airy.shop.gone", patterns=["bell.*"], since=0)
    ring_ago(40 * DAY, 2)
    ring(1, start=2)
    deliver()
    assert "not in this code" in run()
    assert held() == {"shop.gone": 2}
    Straggler.objects.create(
        event_id=StoredEvent.objects.earliest("pk").event_id, subscriber=row.name, after=1, owed_at=timezone.now(),
        checked_at=timezone.now(),
    )  # fmt: skip
    Subscription.objects.filter(pk=row.pk).update(seen_at=timezone.now() - 31 * DAY)
    assert pruned()["bell.rang"].gone == 2
    assert not Straggler.objects.exists()


def test_a_subscription_of_this_code_holds_up_however_long_ago_a_worker_started() -> None:
    Subscription.objects.update(seen_at=timezone.now() - 31 * DAY)
    ring_ago(40 * DAY, 2)
    OutboxMessage.objects.all().delete()
    ring(1, start=2)
    assert held()["effects.moody"] == 2


def test_a_dead_letter_holds_its_event_up_and_can_be_requeued_until_it_is_discarded() -> None:
    first, second = ring_ago(31 * DAY, 2, mood="hopeless")
    ring(1, start=2)
    deliver()
    assert pruned()["bell.rang"].gone == 0
    assert held() == {"(dead letters)": 2}
    discard(DeadLetter.objects.filter(event_id=first))
    assert pruned()["bell.rang"].gone == 1
    StoredEvent.objects.filter(event_id=second).update(data={"number": 1, "mood": "calm"})
    assert requeue(DeadLetter.objects.filter(event_id=second, state="dead")) == (1, 0)
    assert held()["(outbox)"] == 1
    deliver()
    assert effects("moody") == [1, 2], "below the floor, and in the log"
    assert effects("alone") == [0, 1, 2]


def test_a_message_that_comes_once_more_after_its_event_was_pruned_takes_no_effect() -> None:
    with own_subscribers():
        name = f"effects.without_transaction_{uuid.uuid4().hex[:8]}"

        @subscriber(Rang, name=name, atomic=False)
        def without_transaction(event: Rang) -> None:
            Effect.objects.create(subscriber="without_transaction", number=event.number)

        announce()
        (gone,), (kept,) = ring_ago(31 * DAY), ring_ago(29 * DAY, start=1)
        names = ("effects.alone", "effects.moody", "effects.in_batches", name)
        messages = {one: [message_to(one, event_id) for event_id in (gone, kept)] for one in names}
        ring(1, start=2)
        deliver()
        before = Effect.objects.count()
        assert before == 15
        assert pruned()["bell.rang"].gone == 1
        for one in names:
            process(subscriptions[one], messages[one])
            for message in messages[one]:
                process(subscriptions[one], [message._replace(redelivered=True)])
        assert Effect.objects.count() == before
        assert not Delivery.objects.filter(event_id=gone).exists()


def test_a_message_below_the_floor_whose_event_was_held_up_takes_effect() -> None:
    first, second = ring_ago(31 * DAY, 2)
    message = message_to("effects.alone", second)
    ring(1, start=2)
    deliver()
    Effect.objects.filter(subscriber="alone").delete()
    Delivery.objects.filter(subscriber="effects.alone", event_id__in=[first, second]).delete()
    process(subscriptions["effects.alone"], [message_to("effects.alone", first)])
    LogFloor.objects.create(topic="bell.rang", sequence=10**9, event_id=first, time=timezone.now())
    process(subscriptions["effects.alone"], [message])
    assert effects("alone") == [0, 1]


def test_a_message_of_an_event_that_the_log_lost_takes_effect_above_the_floor() -> None:
    """As after an older dump was restored: what the log does not know was not pruned."""
    ring_ago(31 * DAY, 2)
    (lost,) = ring_ago(2 * DAY, start=2)
    message = message_to("effects.alone", lost)
    ring(1, start=3)
    StoredEvent.objects.filter(event_id=lost).delete()
    OutboxMessage.objects.filter(event_id=lost).delete()
    deliver()
    assert pruned()["bell.rang"].gone == 2
    process(subscriptions["effects.alone"], [message])
    assert effects("alone") == [0, 1, 2, 3]


def test_a_replay_below_the_floor_is_refused_and_one_from_there_on_has_the_rest() -> None:
    ring_ago(31 * DAY, 2)
    young = ring_ago(29 * DAY, 2, start=2)
    deliver()
    prune()
    floor = LogFloor.objects.get(topic="bell.rang")
    name = "effects.moody"
    for below in (
        {"from_sequence": 1},
        {"to_sequence": floor.sequence - 1},
        {"since": timezone.now() - 32 * DAY},
        {"until": timezone.now() - 32 * DAY},
    ):
        with pytest.raises(ReplayRefusedError, match=rf"bell\.rang were pruned.*--from-sequence {floor.sequence}"):
            events_for(name, **below)
    with pytest.raises(CommandError, match="were pruned"):
        command_output("replay", name, "--from-sequence", "1")
    assert set(events_for(name).values_list("event_id", flat=True)) == set(young)
    assert events_for(name, from_sequence=floor.sequence, since=floor.time).count() == 2
    Delivery.objects.filter(subscriber=name).update(state="discarded")
    assert f"reaches back to number {floor.sequence}" in command_output("replay", name, "--everything")
    deliver()
    assert effects("moody") == [0, 1, 2, 2, 3, 3]


def foreign(number: int, **attributes: object) -> ReceivedMessage:
    body = {"id": f"order-{number}", "source": "/shop", "type": "bell.rang", "data": {"number": number}} | attributes
    return ReceivedMessage.decode(json.dumps(body).encode())


def test_the_number_that_another_publisher_gives_is_not_one_of_our_log() -> None:
    LogFloor.objects.create(topic="bell.rang", sequence=10**9, event_id=uuid.uuid4(), time=timezone.now())
    process(subscriptions["effects.alone"], [foreign(1, sequence=1)])
    assert effects("alone") == [1]


def test_what_another_publisher_sent_is_remembered_for_the_longest_keep_time(settings: Any) -> None:
    for number in range(60):
        process(subscriptions["effects.alone"], [foreign(number)])
    Delivery.objects.update(at=timezone.now() - 40 * DAY)
    run()
    assert Delivery.objects.count() == 60, "other topics are kept for ever"
    settings.EVENTS_KEEP = {"*": 50 * DAY, "bell.*": 30 * DAY}
    run()
    assert Delivery.objects.count() == 60
    settings.EVENTS_KEEP = {"*": 35 * DAY, "bell.*": 30 * DAY}
    assert "60 deliveries of other publishers' events would be deleted" in run("--dry-run")
    run()
    assert not Delivery.objects.exists()


def test_a_foreign_event_in_the_log_goes_by_its_own_time() -> None:
    for number, age in enumerate((40, 20)):
        time = (timezone.now() - age * DAY).isoformat()
        message = foreign(number, time=time, data={"number": number, "mood": "twice"})
        with pytest.raises(DeliveryFailedError) as failed:
            process(subscriptions["effects.moody"], [message])
        record_failures(failed.value)
    deliver()
    ring(1, start=9)
    deliver()
    for name in ("effects.alone", "effects.in_batches", "effects.asynchronous"):
        for event_id in StoredEvent.objects.filter(source="/shop").values_list("event_id", flat=True):
            Delivery.objects.create(event_id=event_id, subscriber=name, state="done")
    assert pruned()["bell.rang"].gone == 1
    assert StoredEvent.objects.filter(source="/shop").count() == 1


def test_failed_attempts_of_what_succeeded_go_after_thirty_days_and_others_stay() -> None:
    ring(1, mood="twice")
    ring(1, start=1, mood="hopeless")
    deliver()
    Attempt.objects.update(at=timezone.now() - 29 * DAY)
    run()
    assert Attempt.objects.count() == 3
    Attempt.objects.update(at=timezone.now() - 31 * DAY)
    assert "2 failed attempts" in run()
    assert Attempt.objects.get().delivery.state == "dead"


def test_dead_letters_are_discarded_after_their_own_keep_time_and_not_without_one(settings: Any) -> None:
    ring(2, mood="hopeless")
    deliver()
    Delivery.objects.filter(state="dead").update(at=timezone.now() - 100 * DAY)
    run()
    assert DeadLetter.objects.filter(state="dead").count() == 2
    settings.EVENTS_KEEP_DEAD_LETTERS = "90d"
    assert "2 dead letters discarded" in run()
    assert set(Delivery.objects.filter(subscriber="effects.moody").values_list("state", "body")) == {
        ("discarded", None)
    }


def test_it_waits_while_the_relay_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "MAX_NEW_ROWS", 2)
    ring(3)
    with pytest.raises(PruneRefusedError, match="wait for the relay"):
        prune()
    with pytest.raises(CommandError, match="wait for the relay"):
        run()


def test_a_topic_that_is_held_up_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "EVENTS_PER_CHUNK", 2)
    monkeypatch.setattr(pruning, "HELD_CHUNKS", 3)
    ring_ago(31 * DAY, 20)
    ring(1, start=20)
    assert held()["effects.alone"] == 6
    assert "6 or more" in run()


def test_reconcile_and_backlogs_go_on_where_the_log_was_pruned() -> None:
    (cause,) = ring_ago(31 * DAY)
    ring_ago(1 * DAY, start=1)
    StoredEvent.objects.exclude(event_id=cause).update(causation_id=cause)
    deliver()
    Straggler.objects.create(
        event_id=cause, subscriber="effects.alone", after=1, owed_at=timezone.now(), checked_at=timezone.now()
    )
    assert held() == {"(watchlist)": 1}
    Straggler.objects.all().delete()
    prune()
    assert Reconciler(EmbeddedBroker(), patience=dt.timedelta(0)).run_pass() == []


def test_topics_with_other_keep_times_have_floors_of_their_own(settings: Any) -> None:
    settings.EVENTS_KEEP = {"*": 365 * DAY, "bell.*": 30 * DAY}
    emit_ago(400 * DAY, BalanceChanged(account_id=1, before=0, after=1))
    emit_ago(300 * DAY, BalanceChanged(account_id=1, before=1, after=2))
    ring_ago(31 * DAY)
    ring(1, start=1)
    deliver()
    prune()
    first, second = LogFloor.objects.order_by("sequence")
    assert (first.topic, second.topic) == ("account.balance_changed", "bell.rang")
    assert StoredEvent.objects.filter(topic=first.topic).get().sequence >= first.sequence
    assert timezone.now() - 401 * DAY < first.time < timezone.now() - 399 * DAY


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_while_events_flow_nothing_undone_is_lost_and_nothing_takes_effect_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three threads: one emits events that are old already, one prunes, this one delivers each message twice."""
    monkeypatch.setattr(pruning, "EVENTS_PER_CHUNK", 20)
    announce()
    total, failed, over = 400, [], threading.Event()

    def in_thread(work: Any) -> threading.Thread:
        def do() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the test says so
                failed.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=do)
        thread.start()
        return thread

    def emit_all() -> None:
        for start in range(0, total, 10):
            ring_ago(31 * DAY, 10, start=start)

    def prune_on() -> None:
        while not over.is_set():
            prune()

    writer, pruner = in_thread(emit_all), in_thread(prune_on)
    seen: list[tuple[str, bytes]] = []
    while writer.is_alive() or OutboxMessage.objects.exists():
        for event in StoredEvent.objects.order_by("-sequence")[:3]:
            seen += [(f"effects.{name}", event.envelope().encode()) for name in ("alone", "in_batches")]
        deliver(times=2)
        for name, body in seen[-40:]:
            process(subscriptions[name], [received(name, body, route="bell.rang")])
    writer.join()
    for name, body in seen:
        process(subscriptions[name], [received(name, body, route="bell.rang")])
    over.set()
    pruner.join()
    prune()
    assert not failed
    assert_one_effect_each(total)
    assert StoredEvent.objects.count() <= 1
    assert Delivery.objects.count() <= len(SUBSCRIBERS)
    assert Counter(Effect.objects.values_list("subscriber", flat=True)) == Counter(dict.fromkeys(SUBSCRIBERS, total))
