"""Traces: which spans an event leaves, and what leads from one to the next, as a collector receives them."""

import datetime as dt
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator

import dramatiq
import pytest
from django.conf import settings
from django.db import transaction

from events import tracing
from events.brokers.embedded import EmbeddedBroker
from events.brokers.hand_over_outbox import EmbeddedCourier
from events.bus import emit, emit_many, subscriber, suppressed
from events.models import Delivery, OutboxMessage, StoredEvent
from events.repair.announce import announce
from events.repair.dead_letters import dead_letters, requeue
from events.repair.reconcile import Reconciler
from events.repair.replay import events_for, replay
from events.spans import MOST_LINKS, from_traceparent
from events.subscription import subscriptions
from events.testing import deliver
from tests.conformance.rabbitmq import remove_queues
from tests.effects.events import Knocked, Rang, Walked
from tests.support.collector import Collector
from tests.support.own_subscribers import own_subscribers
from tests.support.traced import traced

pytestmark = pytest.mark.django_db
PRODUCER, CONSUMER = 4, 5


@pytest.fixture
def collector() -> Iterator[Collector]:
    with traced() as collector:
        yield collector


def ring(count: int = 1, **fields: str) -> list[uuid.UUID]:
    with transaction.atomic():
        return emit_many([Rang(number=number, **fields) for number in range(count)])


def age(**how: int) -> None:
    """Let what is in the log be older."""
    for event in StoredEvent.objects.all():
        StoredEvent.objects.filter(pk=event.pk).update(time=event.time - dt.timedelta(**how))


def assert_begins_a_trace_linked_to(event: str, span: object) -> None:
    assert (span.parent, span.links) == ("", (event,))


def test_a_single_event_is_one_trace_to_each_of_its_subscribers_and_to_what_these_emit(collector: Collector) -> None:
    with own_subscribers():

        @subscriber(Rang, name="effects.knocks")
        def knocks(event: Rang) -> None:
            emit(Knocked(number=event.number))

        [event_id] = ring()
        deliver()
    created, child = collector.one("create bell.rang"), collector.one("create gate.knocked")
    assert created.kind == PRODUCER
    assert created.attributes["messaging.message.id"] == str(event_id)
    assert from_traceparent(StoredEvent.objects.get(topic="bell.rang").traceparent).span_id == int(created.id, 16)
    for name in ("moody", "in_batches", "alone", "asynchronous", "knocks"):
        processed = collector.one(f"process effects.{name}")
        assert (processed.trace, processed.parent, processed.links) == (created.trace, created.id, (created.id,))
        assert processed.kind == CONSUMER
        assert processed.attributes == {
            "messaging.system": "airy",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": "bell.rang",
            "messaging.message.id": str(event_id),
            "messaging.consumer.group.name": f"effects.{name}",
            "airy.attempt": 1,
        }
    assert collector.way_to(child) == ["create bell.rang", "process effects.knocks", "create gate.knocked"]


def test_a_group_and_a_batch_begin_a_trace_with_links_to_at_most_128_events(collector: Collector) -> None:
    ring(3)
    ring(MOST_LINKS)
    deliver()
    created = [span.id for span in collector.named("create bell.rang")]
    for name in ("moody", "in_batches"):
        groups = collector.named(f"process effects.{name}")
        assert {span.parent for span in groups} == {""}
        assert sum(span.attributes["messaging.batch.message_count"] for span in groups) == len(created)
        assert list(groups[0].links) == created[: len(groups[0].links)]
        assert max(len(span.links) for span in groups) <= MOST_LINKS
    assert len(collector.one("process effects.in_batches").links) == MOST_LINKS


def test_more_events_than_a_span_can_link_to_are_created_by_one_span(collector: Collector) -> None:
    ring(MOST_LINKS + 1)
    created = collector.one("create bell.rang")
    assert created.attributes["messaging.batch.message_count"] == MOST_LINKS + 1
    assert StoredEvent.objects.values("traceparent").distinct().count() == 1


def test_a_retry_stays_in_the_trace_of_its_event_and_has_its_attempt(collector: Collector) -> None:
    ring(mood="twice")
    age(minutes=5)
    StoredEvent.objects.update(time=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5))
    deliver()
    created, (first, *retries) = collector.one("create bell.rang"), collector.named("process effects.moody")
    assert_begins_a_trace_linked_to(created.id, first)  # it came late
    assert [span.attributes["airy.attempt"] for span in retries] == [2, 3]
    for span in retries:
        assert (span.parent, span.links) == (created.id, (created.id,))
    assert [span.failed for span in (first, *retries)] == [True, True, False]
    assert first.attributes["error.type"] == "ValueError"


def test_an_event_that_is_replayed_requeued_or_healed_begins_a_trace_of_its_own(
    collector: Collector, request: pytest.FixtureRequest
) -> None:
    if settings.AIRY_BROKER == "rabbitmq":
        request.getfixturevalue("vhost")
    announce()
    ring(mood="hopeless")
    with transaction.atomic():
        emit(Walked(number=1, steps=1))
    deliver()
    age(minutes=2)
    rang, walked = collector.one("create bell.rang"), collector.one("create walk.walked")
    requeue(dead_letters())
    walk = subscriptions["effects.walk"]
    replay(walk.name, events_for(walk.name).filter(topic="walk.walked"))
    Delivery.objects.filter(subscriber="effects.alone").delete()
    if settings.AIRY_BROKER == "rabbitmq":
        remove_queues()
    Reconciler(dramatiq.get_broker(), patience=dt.timedelta(0)).run_pass()
    assert OutboxMessage.objects.filter(subscriber="effects.alone").exists()
    deliver()
    assert_begins_a_trace_linked_to(rang.id, collector.named("process effects.moody")[1])
    assert_begins_a_trace_linked_to(walked.id, collector.named("process effects.walk")[1])
    assert collector.named("process effects.walk")[1].attributes["airy.run"] == 1
    assert_begins_a_trace_linked_to(rang.id, collector.named("process effects.alone")[1])


def test_long_work_is_one_trace_from_chunk_to_chunk(collector: Collector) -> None:
    with transaction.atomic():
        emit(Walked(number=1, steps=3))
    deliver()
    last = collector.named("process effects.walk")[-1]
    assert collector.way_to(last) == ["create walk.walked", "process effects.walk"] * 3


def test_the_relay_links_a_parcel_to_its_events(collector: Collector) -> None:
    ring(2)
    broker = EmbeddedBroker(middleware=[])
    for subscription in subscriptions.values():
        broker.subscribe(subscription)
        broker.declare_queue(subscription.queue)
    EmbeddedCourier(broker).carry()
    created = tuple(span.id for span in collector.named("create bell.rang"))
    sent = collector.one(f"send {subscriptions['effects.alone'].queue}")
    assert (sent.parent, sent.links, sent.attributes["messaging.batch.message_count"]) == ("", created, 2)


def test_what_is_suppressed_leaves_no_span(collector: Collector) -> None:
    with suppressed("an import"):
        ring(2)
    assert collector.spans == []
    assert set(StoredEvent.objects.values_list("traceparent", flat=True)) == {""}


@pytest.mark.parametrize("broken", ["", "00-x-y-01", f"00-{'0' * 32}-{'1' * 16}-01", "ff" * 27])
def test_an_event_whose_traceparent_says_nothing_begins_a_trace(collector: Collector, broken: str) -> None:
    ring()
    StoredEvent.objects.update(traceparent=broken)
    deliver()
    span = collector.one("process effects.alone")
    assert (span.parent, span.links) == ("", ())


def test_no_span_has_what_an_event_or_an_error_says(collector: Collector) -> None:
    with own_subscribers():

        @subscriber(Rang, name="effects.quotes", max_retries=0)
        def quotes(event: Rang) -> None:
            raise ValueError(f"cannot be {event.mood}")

        ring(mood="very private")
        deliver()
    assert collector.one("process effects.quotes").failed
    assert not any(b"private" in body for body in collector.bodies)


def test_the_trace_of_a_request_that_is_not_recorded_is_not_recorded_further(collector: Collector) -> None:
    ring()
    collector.spans.clear()
    event = StoredEvent.objects.get()
    StoredEvent.objects.update(traceparent=event.traceparent[:-2] + "00")
    deliver()
    assert collector.spans == []


@pytest.mark.home
def test_a_line_of_the_log_names_the_span_that_it_belongs_to(collector: Collector) -> None:
    found: list[dict[str, str]] = []
    with own_subscribers():

        @subscriber(Rang, name="effects.logs")
        def logs(event: Rang) -> None:
            found.append(tracing.trace_facts())

        ring()
        deliver()
    processed = collector.one("process effects.logs")
    assert found == [{"trace_id": processed.trace, "span_id": processed.id}]
    assert tracing.trace_facts() == {}


def test_where_it_is_off_nothing_of_opentelemetry_is_imported() -> None:
    script = """
import sys
who = set()


class Asked:
    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe()
        if name == "opentelemetry":
            while frame.f_code.co_filename.startswith("<"):
                frame = frame.f_back
            who.add(frame.f_globals["__name__"].split(".")[0])
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Asked())
import airy.asgi
from airy.measured import Measured
from events import tracing
assert tracing.spans is None and type(airy.asgi.application) is Measured
print(who - {"redis"})  # redis-py looks whether its metrics are there
"""
    kept = {"PATH": os.environ["PATH"], "SECRET_KEY": os.environ["SECRET_KEY"], "DEBUG": "on"}
    said = subprocess.run(
        (sys.executable, "-c", script), cwd=settings.BASE_DIR, env=kept, capture_output=True, text=True, check=True
    )
    assert said.stdout == "set()\n"


@pytest.mark.home
def test_a_project_that_has_set_a_provider_needs_no_setting() -> None:
    script = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
import django
django.setup()
from events import tracing
print(tracing.spans.provider is trace.get_tracer_provider())
"""
    kept = {"PATH": os.environ["PATH"], "SECRET_KEY": os.environ["SECRET_KEY"], "DEBUG": "on"}
    said = subprocess.run(
        (sys.executable, "-c", script),
        cwd=settings.BASE_DIR,
        env=kept | {"DJANGO_SETTINGS_MODULE": "airy.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "True\n"


def test_what_begins_later_switches_nothing_off(collector: Collector) -> None:
    before = tracing.spans
    tracing.bind()
    assert tracing.spans is before
