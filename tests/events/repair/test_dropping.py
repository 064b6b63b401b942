"""Dropping: a partition goes at once when all of it is over; what must stay is moved, nothing takes effect twice."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from functools import partial
from itertools import chain, repeat
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from events.db.partitions import all_partitions
from events.inbox.delivery import process
from events.models import Attempt, DeadLetter, Delivery, LogFloor, OutboxMessage, StoredEvent, Straggler, Subscription
from events.repair import dropping
from events.repair.announce import announce
from events.repair.dead_letters import requeue
from events.repair.partitions import log_and_inbox
from events.repair.prune import PrunedTopic, Walks, prune
from events.repair.replay import ReplayRefusedError, events_for
from events.subscription import subscriptions
from events.testing import deliver
from tests.conformance.processes import database_url
from tests.effects.events import Knocked
from tests.effects.models import Effect
from tests.support.command_output import command_output
from tests.support.effects import ring
from tests.support.old_events import emit_ago, message_to, ring_ago
from tests.support.partitions import partition_past

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]

DAY = dt.timedelta(days=1)
#: In the middle of the partition that `old_partition` makes, and past its keep time.
OLD = 45 * DAY


@pytest.fixture
def old_partition(settings: Any) -> str:
    """The partition of 50 to 40 days ago, whose events are kept for 30 days. Returns the name of the log's."""
    settings.EVENTS_KEEP = {"*": 30 * DAY}
    announce()
    return partition_past(days_ago=50, days=10)


def names(table: str = "events_storedevent") -> set[str]:
    return {one.name for one in all_partitions(connection, f'"{table}"')}


def partition_of(event_id: uuid.UUID) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM events_storedevent WHERE event_id = %s", [event_id])
        return str(cursor.fetchone()[0])


def pruned(**options: Any) -> dict[str, PrunedTopic]:
    connection.check_constraints()  # a table with deferred triggers of this transaction is not dropped
    return {one.topic: one for one in prune(**options)}


def effects(name: str) -> list[int]:
    return sorted(Effect.objects.filter(subscriber=name).values_list("number", flat=True))


def test_a_partition_that_is_over_goes_with_all_that_belongs_to_its_events(old_partition: str) -> None:
    old = ring_ago(OLD, 3, mood="twice")
    ring(1, start=3)
    deliver()
    assert {partition_of(one) for one in old} == {old_partition}
    assert Attempt.objects.exists()
    assert pruned()["bell.rang"].gone == 3
    assert old_partition not in names()
    assert len(names("events_delivery")) == len(names())
    assert set(StoredEvent.objects.values_list("data__number", flat=True)) == {3}
    assert not Delivery.objects.filter(event_id__in=old).exists()
    assert not Attempt.objects.exists()
    floor = LogFloor.objects.get(topic="bell.rang")
    assert floor.event_id > max(old)
    with pytest.raises(ReplayRefusedError, match="were pruned"):
        events_for("effects.moody", from_sequence=1)


def test_a_dry_run_drops_nothing_and_counts_the_same(old_partition: str) -> None:
    ring_ago(OLD, 3)
    ring(1, start=3)
    deliver()
    assert pruned(dry_run=True)["bell.rang"].gone == 3
    assert old_partition in names()
    assert not LogFloor.objects.exists()
    assert pruned()["bell.rang"].gone == 3


def test_what_is_held_up_is_moved_with_its_rows_of_the_inbox_and_goes_on_as_before(old_partition: str) -> None:
    dead, behind, watched = ring_ago(OLD, 1, mood="hopeless") + ring_ago(OLD, 2, start=1)
    (free,) = ring_ago(OLD, 1, start=3)
    ring(1, start=4)
    deliver()
    Delivery.objects.filter(event_id=behind, subscriber="effects.alone").delete()
    Effect.objects.filter(subscriber="alone", number=1).delete()
    now = timezone.now()
    Straggler.objects.create(event_id=watched, subscriber="effects.alone", after=1, owed_at=now, checked_at=now)
    message = message_to("effects.alone", behind)
    result = pruned()["bell.rang"]
    assert result.gone == 1
    assert {holder: one.count for holder, one in result.held.items()} == {
        "(dead letters)": 1, "effects.alone": 1, "(watchlist)": 1,
    }  # fmt: skip
    assert old_partition not in names()
    kept = StoredEvent.objects.exclude(data__number=4).values_list("event_id", flat=True)
    assert set(kept) == {dead, behind, watched}
    assert {partition_of(one) for one in (dead, behind, watched)} == {"events_storedevent_default"}
    assert not Delivery.objects.filter(event_id=free).exists()
    assert DeadLetter.objects.get(state="dead").failures.exists(), "its attempts stay, too"
    process(subscriptions["effects.alone"], [message])
    StoredEvent.objects.filter(event_id=dead).update(data={"number": 0, "mood": "calm"})
    requeue(DeadLetter.objects.filter(state="dead"))
    deliver()
    assert effects("alone") == effects("moody") == list(range(5))


def test_what_was_moved_is_pruned_by_rows_once_nothing_holds_it_up(old_partition: str) -> None:
    (event_id,) = ring_ago(OLD, 1, mood="hopeless")
    ring(1, start=1)
    deliver()
    assert pruned()["bell.rang"].gone == 0
    Delivery.objects.filter(state="dead").update(state="discarded")
    assert pruned()["bell.rang"].gone == 1
    assert not StoredEvent.objects.filter(event_id=event_id).exists()


def test_what_the_inbox_has_of_another_publisher_alone_is_moved(old_partition: str) -> None:
    """An id in the time of the partition, of an event that is not in the log."""
    (event_id,) = ring_ago(OLD, 1)
    ring(1, start=1)
    deliver()
    StoredEvent.objects.filter(event_id=event_id).delete()
    pruned()
    assert old_partition not in names()
    assert Delivery.objects.filter(event_id=event_id, state="done").count() == 4


def test_an_id_that_tells_no_time_stays_until_its_written_time_is_over(old_partition: str) -> None:
    _, young = ring_ago(OLD, 2)
    ring(1, start=2)
    deliver()
    random_id = uuid.UUID(int=young.int & ~(0xF << 76) | 4 << 76)
    StoredEvent.objects.filter(event_id=young).update(event_id=random_id, time=timezone.now() - 20 * DAY)
    Delivery.objects.filter(event_id=young).update(event_id=random_id)
    assert pruned()["bell.rang"].gone == 1
    assert partition_of(random_id) == "events_storedevent_default"
    StoredEvent.objects.filter(event_id=random_id).update(time=timezone.now() - 31 * DAY)
    assert pruned()["bell.rang"].gone == 1


def test_a_partition_with_a_topic_that_is_kept_longer_stays_and_the_others_go_by_rows(
    settings: Any, old_partition: str
) -> None:
    settings.EVENTS_KEEP = {"*": None, "bell.*": 30 * DAY}
    ring_ago(OLD, 2)
    other = emit_ago(OLD, Knocked(number=1))
    ring(1, start=2)
    OutboxMessage.objects.filter(event_id__in=other).delete()
    deliver()
    assert pruned()["bell.rang"].gone == 2
    assert old_partition in names()
    assert StoredEvent.objects.filter(topic="gate.knocked").count() == 1


def test_rows_of_a_partition_that_will_be_dropped_soon_are_left_to_that(settings: Any, old_partition: str) -> None:
    settings.EVENTS_KEEP = {"*": 42 * DAY}
    settings.EVENTS_PARTITION = "10d"
    ring_ago(OLD, 2)
    ring(1, start=2)
    deliver()
    assert pruned() == {}
    settings.EVENTS_KEEP = {"*": 60 * DAY, "bell.*": 42 * DAY}
    assert pruned() == {}, "no other topic is in it"
    emit_ago(OLD, Knocked(number=1), reason="nobody")
    assert pruned()["bell.rang"].gone == 2, "for that one it waits 18 days longer"


def test_with_too_much_to_move_a_partition_stays_and_the_rest_goes_by_rows(
    old_partition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropping, "MOVED_AT_MOST", 2)
    ring_ago(OLD, 3, mood="hopeless")
    ring_ago(OLD, 2, start=3)
    ring(1, start=5)
    deliver()
    assert pruned()["bell.rang"].gone == 2
    assert old_partition in names()
    assert StoredEvent.objects.count() == 4


def test_the_end_of_the_log_stays_known(old_partition: str) -> None:
    ring_ago(OLD, 3)
    deliver()
    newest = StoredEvent.objects.newest()
    assert pruned()["bell.rang"].gone == 2
    assert StoredEvent.objects.newest() == newest


def test_with_little_time_the_look_at_a_partition_goes_on_the_next_time(
    old_partition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropping, "EVENTS_PER_STEP", 2)
    ring_ago(OLD, 7)
    ring(1, start=7)
    deliver()
    walks: Walks = {}
    times = 0
    while old_partition in names():
        times += 1
        looks = chain([True], repeat(False))
        monkeypatch.setattr("events.repair.prune._Pruning._may_go_on", partial(next, looks))
        result = pruned(walks=walks)["bell.rang"]
        assert result.stopped == (old_partition in names())
        assert times < 10
    assert times > 2
    assert walks == {}
    assert StoredEvent.objects.count() == 1


@pytest.mark.parametrize("meanwhile", ["a replay", "a requeue", "a foreign row", "a new subscription"])
def test_what_happens_between_the_look_and_the_drop_is_seen(
    meanwhile: str, old_partition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = ring_ago(OLD, 2)
    ring(1, start=2)
    deliver()
    alone = uuid.UUID(int=first.int + 1)

    def happen() -> None:
        if meanwhile == "a replay":
            keys = StoredEvent.objects.filter(event_id=first)
            OutboxMessage.objects.create(event=keys.get(), subscriber="effects.alone", run=1, due=timezone.now())
            now = timezone.now()
            Straggler.objects.create(
                event_id=first, subscriber="effects.alone", run=1, after=1, owed_at=now, checked_at=now
            )
        elif meanwhile == "a requeue":
            Delivery.objects.filter(event_id=first, subscriber="effects.alone").update(state="retrying")
        elif meanwhile == "a foreign row":
            Delivery.objects.create(event_id=alone, subscriber="effects.alone", state="done")

    walk, *_ = _walks_to_the_end()
    happen()
    if meanwhile == "a new subscription":
        row = Subscription.objects.create(name="shop.new", queue="airy.shop.new", patterns=["bell.*"], since=0)
        result = pruned(walks={old_partition: walk})["bell.rang"]
        assert set(result.held) == {row.name}
        assert StoredEvent.objects.count() == 3
        return
    connection.check_constraints()
    assert walk.drop()
    kept = {first} if meanwhile != "a foreign row" else set()
    assert set(StoredEvent.objects.filter(data__number__lt=2).values_list("event_id", flat=True)) == kept
    if meanwhile == "a foreign row":
        assert Delivery.objects.filter(event_id=alone).exists()
    else:
        assert walk.gone["bell.rang"] == 1


def _walks_to_the_end() -> list[dropping.Walk]:
    from events.keep import keep_times
    from events.repair.holders import holders

    now, both = timezone.now(), log_and_inbox()
    walks = [
        dropping.Walk(both, period, holders(now), keep=keep_times(), now=now)
        for period in dropping.periods(both)
        if period.is_over(keep_times(), now)
    ]
    assert all(walk.go_on(lambda: True) for walk in walks)
    return walks


def test_a_copy_of_a_message_of_a_dropped_partition_takes_no_effect(old_partition: str) -> None:
    (gone,) = ring_ago(OLD)
    message = message_to("effects.alone", gone)
    ring(1, start=1)
    deliver()
    assert pruned()["bell.rang"].gone == 1
    process(subscriptions["effects.alone"], [message])
    process(subscriptions["effects.alone"], [message._replace(redelivered=True)])
    assert effects("alone") == [0, 1]
    assert not Delivery.objects.filter(event_id=gone).exists()


@pytest.mark.django_db(transaction=True)
def test_what_keeps_the_table_busy_puts_a_drop_off_and_nothing_goes_by_rows(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EVENTS_KEEP = {"*": 30 * DAY}
    announce()
    old_partition = partition_past(days_ago=50, days=10)
    ring_ago(OLD, 2)
    ring(1, start=2)
    deliver()
    monkeypatch.setattr(dropping, "TRIES", 2)
    with psycopg.connect(database_url()) as dump:
        dump.execute("SELECT count(*) FROM events_delivery")
        result = pruned()["bell.rang"]
        assert (result.gone, result.stopped) == (0, True)
        assert StoredEvent.objects.count() == 3
    assert pruned()["bell.rang"].gone == 2
    assert old_partition not in names()


@pytest.mark.django_db(transaction=True)
def test_whoever_looks_at_the_log_while_partitions_come_and_go_meets_no_error(settings: Any) -> None:
    settings.EVENTS_KEEP = {"*": 30 * DAY}
    announce()
    ring(2)
    deliver()
    over, errors = threading.Event(), list[Exception]()

    def look() -> None:
        try:
            while not over.is_set():
                assert StoredEvent.objects.topics()
                log_and_inbox().shown()
        except Exception as error:  # noqa: BLE001 - it fails the test
            errors.append(error)
        finally:
            connection.close()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(10):
            old_partition = partition_past(days_ago=50, days=10)
            prune()
            assert old_partition not in names()
    finally:
        over.set()
        looking.join()
    assert errors == []


def test_a_role_that_does_not_own_the_tables_prunes_by_rows(old_partition: str) -> None:
    ring_ago(OLD, 2)
    ring(1, start=2)
    deliver()
    connection.check_constraints()
    role = f"airy_web_{uuid.uuid4().hex[:8]}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role}")
        cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        cursor.execute(f"SET LOCAL ROLE {role}")
        result = pruned()["bell.rang"]
        cursor.execute("RESET ROLE")
    assert result.gone == 2
    assert old_partition in names()
    assert StoredEvent.objects.count() == 1


def test_the_command_shows_the_partitions(old_partition: str) -> None:
    said = command_output("partition")
    assert old_partition in said
    assert "events_delivery_default" in said
    assert "all else" in said
