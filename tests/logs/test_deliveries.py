"""Lines of a delivery: what a subscriber logs by itself says which event it is about, on whatever thread it runs."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction

from events.bus import Event, emit, subscriber
from events.log_context import DeliveryFilter, delivery_facts
from events.pool import TaskPool
from events.testing import deliver
from tests.logs.json_log import json_log
from tests.support.own_subscribers import own_subscribers

pytestmark = pytest.mark.django_db

logger = logging.getLogger("shop")


class KettleBoiled(Event, topic="kettle.boiled", version=1):
    number: int


@pytest.fixture(autouse=True)
def subscribers() -> Iterator[None]:
    with own_subscribers():
        yield


def boil(*numbers: int) -> list[str]:
    """Emit one event for each number, and deliver them; returns their ids."""
    with transaction.atomic():
        ids = [str(emit(KettleBoiled(number=number))) for number in numbers]
    deliver()
    return ids


def test_a_traceback_that_a_subscriber_logs_names_event_subscriber_attempt_run_and_correlation() -> None:
    @subscriber(KettleBoiled, name="shop.pour", max_retries=1, min_backoff=1, max_backoff=1)
    def pour(event: KettleBoiled) -> None:
        try:
            raise ValueError("no cup")
        except ValueError:
            logger.exception("it is not poured")
        if event.meta.attempt == 1:
            raise RuntimeError("once more")

    with json_log() as lines:
        (event_id,) = boil(1)
    told = [line for line in lines if line["logger"] == "shop"]
    assert [line["attempt"] for line in told] == [1, 2]
    for line in told:
        assert "ValueError: no cup" in line["exception"]
        assert line["event_id"] == line["correlation_id"] == event_id
        assert (line["topic"], line["subscriber"], line["run"]) == ("kettle.boiled", "shop.pour", 0)
    of_events = [line for line in lines if line["logger"] == "events.delivery"]
    assert [line["event"] for line in of_events] == ["delivery failed", "delivered"]
    assert "RuntimeError: once more" in of_events[0]["exception"]
    for line in of_events:
        assert line["event_id"] == line["correlation_id"] == event_id
        assert (line["topic"], line["subscriber"], line["run"]) == ("kettle.boiled", "shop.pour", 0)


@pytest.mark.django_db(transaction=True)
def test_in_a_group_each_call_s_lines_have_their_own_event() -> None:
    @subscriber(KettleBoiled, name="shop.share")
    def pour(event: KettleBoiled) -> None:
        logger.warning("poured", extra={"number": event.number})
        transaction.on_commit(lambda: logger.warning("served", extra={"number": event.number}))

    with json_log() as lines:
        ids = boil(0, 1, 2)
        assert delivery_facts() == {}
    for said in ("poured", "served"):
        told = [line for line in lines if line["event"] == said]
        assert [line["event_id"] for line in told] == [ids[line["number"]] for line in told]
        assert {line["event_id"] for line in told} == set(ids)
    (done,) = [line for line in lines if line["event"] == "delivered"]
    assert sorted(done["events"]) == sorted(ids)


def test_a_coroutine_its_threads_and_its_tasks_in_a_pool_say_it_too() -> None:
    def fail() -> None:
        raise ValueError("in the pool")

    with TaskPool(size=2) as pool:

        @subscriber(KettleBoiled, name="shop.cook")
        async def pour(event: KettleBoiled) -> None:
            logger.warning("in the coroutine")
            await asyncio.gather(*(sync_to_async(logger.warning)(f"in a thread {n}") for n in range(2)))
            with pytest.raises(ValueError, match="in the pool"):
                await asyncio.wrap_future(pool.submit(fail))

        with json_log() as lines:
            (event_id,) = boil(1)
    told = [line for line in lines if line["logger"] in ("shop", "events.pool")]
    assert len(told) == 4
    assert "ValueError: in the pool" in told[3]["exception"]
    assert {line.get("event_id") for line in told} == {event_id}


def test_a_batch_names_its_first_events_and_how_many_there_are() -> None:
    @subscriber(KettleBoiled, name="shop.collect", batch=200)
    def pour(events: list[KettleBoiled]) -> None:
        logger.warning("poured", extra={"number": len(events)})

    with json_log() as lines:
        ids = boil(*range(60))
    for line in lines:
        if line["event"] in ("poured", "delivered"):
            assert set(line["events"]) < set(ids)
            assert (len(line["events"]), line["count"], line["subscriber"]) == (50, 60, "shop.collect")
    assert {line["event"] for line in lines} >= {"poured", "delivered"}


def test_a_plain_formatter_of_another_project_says_it_by_the_filter() -> None:
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.addFilter(DeliveryFilter())
    handler.setFormatter(logging.Formatter("%(name)s %(message)s%(delivery)s"))

    @subscriber(KettleBoiled, name="shop.serve")
    def pour(event: KettleBoiled) -> None:
        logger.error("poured", extra={"topic": "tea"})

    logger.addHandler(handler)
    try:
        logger.error("before")
        (event_id,) = boil(1)
    finally:
        logger.removeHandler(handler)
    assert stream.getvalue().splitlines() == [
        "shop before",
        f"shop poured subscriber=shop.serve event_id={event_id} correlation_id={event_id} attempt=1 run=0",
    ]
