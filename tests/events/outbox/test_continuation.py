"""Continuation: a chain of chunks, for one subscriber alone."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from events.bus import ContinuationError, continue_with, emit, emit_many, subscriber, suppressed
from events.event import catalogue
from events.models import Attempt, Delivery, OutboxMessage, StoredEvent, Straggler
from events.outbox.log import MARK_LENGTH, only_for
from events.pool import get_pool
from events.repair.announce import announce
from events.repair.backlog import backlogs
from events.repair.dead_letters import dead_letters, requeue
from events.repair.reconcile import Reconciler
from events.testing import deliver, emitted, run, take
from feeds.models import SearchDocument
from tests.conformance.rabbitmq import remove_queues
from tests.effects.events import Rang, Walked
from tests.effects.models import Effect
from tests.support.factories import PostFactory
from tests.support.own_subscribers import own_subscribers

pytestmark = pytest.mark.django_db

WALK = "effects.walk"


@pytest.fixture
def announced(db: None, request: pytest.FixtureRequest) -> None:
    """Announced subscribers; on RabbitMQ queues that are idle."""
    if connection.vendor == "postgresql":
        request.getfixturevalue("vhost")
        remove_queues()
    announce()


@pytest.fixture
def everything() -> Iterator[list[Any]]:
    """What a subscriber to every topic was told."""
    told: list[Any] = []
    with own_subscribers():

        @subscriber("#", name=own("everything"))
        def everything(event: Any) -> None:
            told.append(event)

        yield told


def own(name: str) -> str:
    """A name that no subscriber of another test has."""
    return f"effects.{name}_{uuid.uuid4().hex[:8]}"


def ring(number: int, *, count: int = 1) -> None:
    """Emit events with numbers from this one on."""
    with transaction.atomic():
        emit_many([Rang(number=one) for one in range(number, number + count)])


def walk(steps: int, **fields: Any) -> None:
    """Begin a walk."""
    with transaction.atomic():
        emit(Walked(number=1, steps=steps, **fields))


def steps(name: str = "walk_1") -> list[int]:
    """The steps that left an effect, in order."""
    return list(Effect.objects.filter(subscriber=name).order_by("pk").values_list("number", flat=True))


def test_each_chunk_is_done_once_in_order_by_this_subscriber_alone(everything: list[Any]) -> None:
    walk(5)
    deliver(times=2)
    assert steps() == [0, 1, 2, 3, 4]
    assert steps("seen_1") == [0]
    assert [event.at for event in everything] == [0]
    assert Delivery.objects.filter(subscriber=WALK, state="done", run=0).count() == 5


def test_the_next_chunk_has_this_one_as_its_cause_and_the_first_as_its_correlation() -> None:
    walk(4)
    deliver()
    metas = [event.meta for event in emitted(Walked)]
    assert [meta.causation_id for meta in metas] == [None, *(meta.id for meta in metas[:-1])]
    assert {meta.correlation_id for meta in metas} == {metas[0].id}


def test_a_failing_chunk_is_tried_again_alone() -> None:
    walk(5, mood="stumble")
    deliver()
    assert steps() == [0, 1, 2, 3, 4]
    assert Attempt.objects.filter(delivery__subscriber=WALK).count() == 2
    assert set(Effect.objects.exclude(attempt=1).values_list("number", "attempt")) == {(2, 3)}


def test_a_chunk_that_is_rolled_back_owes_no_next_one() -> None:
    with own_subscribers():

        @subscriber(Rang, name=own("falls"), max_retries=0)
        def falls(event: Rang) -> None:
            continue_with(Rang(number=event.number + 1))
            raise ValueError("after all")

        ring(1)
        deliver()
    assert [event.number for event in emitted(Rang)] == [1]


def test_a_dead_chunk_keeps_the_place_and_a_requeue_goes_on_from_there() -> None:
    broken = True
    done: list[int] = []
    with own_subscribers():

        @subscriber(Rang, name=own("halts"), max_retries=0)
        def halts(event: Rang) -> None:
            if broken and event.number == 2:
                raise ValueError("broken")
            done.append(event.number)
            if event.number < 4:
                continue_with(Rang(number=event.number + 1))

        ring(0)
        deliver()
        assert done == [0, 1]
        broken = False
        requeue(dead_letters())
        deliver()
    assert done == [0, 1, 2, 3, 4]


def test_reconcile_heals_a_lost_chunk_for_its_subscriber_and_for_nobody_else(
    announced: None, everything: list[Any]
) -> None:
    announce()
    walk(3)
    deliver()
    lost = StoredEvent.objects.get(data__at=2)
    Delivery.objects.filter(event_id=lost.event_id).delete()
    Effect.objects.filter(subscriber="walk_1", number=2).delete()
    reconciler = Reconciler(dramatiq.get_broker(), patience=dt.timedelta(0))
    healed = [(one.subscriber, one.count) for _ in range(3) for one in reconciler.run_pass()]
    assert healed == [(WALK, 1)]
    assert Straggler.objects.get(event_id=lost.event_id).subscriber == WALK
    deliver()
    assert steps() == [0, 1, 2]
    assert len(everything) == 1
    assert [one for _ in range(3) for one in reconciler.run_pass()] == []


def test_the_backlog_counts_a_chunk_for_its_subscriber_alone(announced: None) -> None:
    walk(3)
    deliver()
    Delivery.objects.filter(event_id=StoredEvent.objects.get(data__at=2).event_id).delete()
    backlog = {one.name: one.behind for one in backlogs()}
    assert (backlog[WALK], backlog["effects.see_walks"]) == (1, 0)


def test_a_replay_of_the_first_event_runs_the_whole_chain_once_more() -> None:
    walk(4)
    deliver()
    call_command("replay", WALK, "--everything", verbosity=0)
    with pytest.raises(CommandError, match="has done all 1 events"):
        call_command("replay", "effects.see_walks", "--everything", "--suppressed", verbosity=0)
    deliver()
    assert steps() == [0, 1, 2, 3] * 2
    assert steps("seen_1") == [0]


def test_priority_and_delay_are_those_of_the_next_chunk() -> None:
    with own_subscribers():

        @subscriber(Rang, name=own("pauses"))
        def pauses(event: Rang) -> None:
            if event.number < 2:
                continue_with(Rang(number=event.number + 1), priority=7, delay=dt.timedelta(hours=1))

        ring(1)
        for name, messages in take().items():
            run(name, messages)  # `deliver` would run what waits, too
    row = OutboxMessage.objects.get()
    assert (row.subscriber[:14], row.priority, row.event.priority, row.size > 0) == ("effects.pauses", 7, 7, True)
    assert dt.timedelta(minutes=50) < row.due - row.event.time < dt.timedelta(minutes=70)


def test_a_batch_says_which_event_it_continues() -> None:
    seen: list[list[int]] = []
    with own_subscribers():

        @subscriber(Rang, name=own("batched"), batch=10)
        def batched(events: list[Rang]) -> None:
            seen.append([event.number for event in events])
            for event in events:
                if event.number < 20:
                    continue_with(Rang(number=event.number + 10), cause=event)

        ring(1, count=3)
        deliver()
    assert seen == [[1, 2, 3], [11, 12, 13], [21, 22, 23]]
    causes = {event.number: event.meta for event in emitted(Rang)}
    assert all(causes[n].causation_id == causes[n - 10].id for n in (11, 12, 13, 21, 22, 23))


def test_in_a_group_each_event_has_a_chain_of_its_own() -> None:
    done: list[int] = []
    with own_subscribers():

        @subscriber(Rang, name=own("grouped"), group=10)
        def grouped(event: Rang) -> None:
            done.append(event.number)
            if event.number < 10:
                continue_with(Rang(number=event.number + 10))

        ring(1, count=3)
        deliver()
    assert done == [1, 2, 3, 11, 12, 13]


@pytest.mark.parametrize(
    ("use", "options", "error", "cure"),
    [
        (lambda event: continue_with(Walked(number=1, steps=1)), {}, TypeError, "add it to @subscriber"),
        (lambda event: continue_with("next"), {}, TypeError, "takes an event"),  # type: ignore[arg-type]
        (lambda event: continue_with(event, priority=11), {}, ValueError, "from 0"),
        (lambda event: continue_with(event, cause=Rang(number=1)), {}, ValueError, "was called with"),
        (lambda events: continue_with(events[0]), {"batch": 5}, ValueError, "cause=event"),
        (lambda event: continue_with(event), {"atomic": False}, ContinuationError, "without atomic=False"),
        (lambda event: get_pool().submit(continue_with, event).result(), {}, ContinuationError, "not in another"),
        (lambda event: silent(event), {}, ContinuationError, "suppressed"),
    ],
)
def test_wrong_use_is_told_with_the_cure(
    use: Callable[[Any], Any], options: dict[str, Any], error: type[Exception], cure: str
) -> None:
    told: list[BaseException] = []
    with own_subscribers():

        @subscriber(Rang, name=own("misuses"), max_retries=0, **options)
        def misuses(event: Any) -> None:
            with pytest.raises(error, match=cure) as raised:
                use(event)
            told.append(raised.value)

        ring(1, count=2)
        deliver()
    assert len(told) == (1 if options.get("batch") else 2)
    assert StoredEvent.objects.count() == 2


def silent(event: Rang) -> None:
    with suppressed("an import"):
        continue_with(event)


def test_outside_of_a_subscriber_it_is_refused() -> None:
    with transaction.atomic(), pytest.raises(ContinuationError, match="elsewhere use emit"):
        continue_with(Rang(number=1))


def test_the_mark_is_not_a_reason_and_fits_every_name() -> None:
    with pytest.raises(ValueError, match="the mark of continue_with"), suppressed(only_for(WALK)):
        pass
    one, other = ("a" * 199 + end for end in "xy")
    assert only_for(one) != only_for(other)
    assert len(only_for(one)) == MARK_LENGTH == StoredEvent._meta.get_field("suppressed").max_length
    assert only_for("a" * 198) == "→ " + "a" * 198


def test_the_example_of_the_page_runs() -> None:
    page = (settings.BASE_DIR / "docs" / "long-work.md").read_text()
    pattern, start = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    posts = PostFactory.create_batch(5)
    deliver()
    SearchDocument.objects.all().delete()
    names: dict[str, Any] = {"__name__": f"search_{uuid.uuid4().hex[:8]}.subscribers"}
    with own_subscribers():
        try:
            exec(pattern.replace("CHUNK = 200", "CHUNK = 2"), names)
            exec(start, names)
            deliver()
        finally:
            catalogue.pop("search.reindex_requested", None)
    assert set(SearchDocument.objects.values_list("post_id", flat=True)) == {post.pk for post in posts}
    cursors = StoredEvent.objects.filter(topic="search.reindex_requested").order_by("sequence")
    ids = sorted(post.pk for post in posts)
    assert list(cursors.values_list("data__after_post_id", flat=True)) == [0, ids[1], ids[3]]
