"""What did not run is not done."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from events.bus import subscriber
from events.calling import UnrunError
from events.inbox.delivery import DeliveryFailedError, TimeLimitError, process
from events.inbox.time_limit import DeliveryTimeLimit
from events.subscription import Subscription, subscriptions
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.events.inbox.test_delivery import arrival
from tests.support.broker_case import only
from tests.support.own_subscribers import own_subscribers


def effect(event: Rang) -> None:
    Effect.objects.create(subscriber="unrun", number=event.number)


async def in_a_coroutine(event: Rang) -> None:
    await sync_to_async(effect)(event)


def generator(event: Rang) -> Iterator[None]:
    yield effect(event)


async def async_generator(event: Rang) -> AsyncIterator[None]:
    yield await in_a_coroutine(event)


def plainly(function: Callable) -> Callable:
    @functools.wraps(function)
    def wrapper(event: Rang) -> Any:
        return function(event)

    return wrapper


class Generating:
    def __call__(self, event: Rang) -> Iterator[None]:
        yield


class Lazy:
    """As a task queue's promise: it runs when it is awaited."""

    def __await__(self) -> Iterator[None]:
        yield


class Later:
    """A subscriber that is an object."""

    async def __call__(self, event: Rang) -> None:
        await in_a_coroutine(event)


async def two_arguments(more: str, event: Rang) -> None:
    await in_a_coroutine(event)


@pytest.mark.parametrize(
    "function",
    [
        generator,
        async_generator,
        functools.partial(generator),
        functools.partial(functools.partial(async_generator)),
        plainly(generator),
        plainly(plainly(async_generator)),
        contextlib.contextmanager(generator),
        Generating(),
        functools.partial(Generating()),
        Generating().__call__,
    ],
)
def test_a_function_with_a_yield_is_refused_at_its_declaration(function: Callable) -> None:
    with own_subscribers():
        before = set(subscriptions)
        with pytest.raises(TypeError, match="has a yield"):
            subscriber(Rang, name="test.with_yield")(function)
        assert set(subscriptions) == before


RESULTS: dict[str, Callable[[Rang], Any]] = {
    "a coroutine": plainly(in_a_coroutine),
    "a coroutine by a lambda": lambda event: in_a_coroutine(event),
    "coroutines in a list": lambda event: [in_a_coroutine(event), in_a_coroutine(event)],
    "coroutines by name": lambda event: {"one": in_a_coroutine(event)},
    "a generator": lambda event: (effect(event) for _ in range(1)),
    "a generator function's": lambda event: generator(event),
    "an async generator": lambda event: async_generator(event),
    "a map": lambda event: map(effect, [event]),
    "an object to await": lambda event: Lazy(),
}


@pytest.mark.django_db
def test_a_result_that_nobody_runs_is_a_failed_attempt_without_a_warning() -> None:
    async def returns_a_coroutine(event: Rang) -> Any:
        return in_a_coroutine(event)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for name, function in (RESULTS | {"an async function's": returns_a_coroutine}).items():
            with only(None, function) as subscription, pytest.raises(DeliveryFailedError) as failed:
                process(subscription, [arrival(1), arrival(2)])
            assert [type(one.error) for one in failed.value.failures] == [UnrunError] * 2, name
            assert "nobody runs" in str(failed.value.failures[0].error), name
        gc.collect()
    assert not [str(one.message) for one in warned if "never awaited" in str(one.message)]
    assert not Effect.objects.exists()


@pytest.mark.django_db
def test_what_runs_is_done_however_it_is_declared() -> None:
    declared: dict[str, Callable] = {
        "an object with an async call": Later(),
        "a partial of an async function": functools.partial(two_arguments, "more"),
        "a partial": functools.partial(effect),
        "a decorator that runs a coroutine": plainly(async_to_sync(in_a_coroutine)),
        "an async method": Later().__call__,
        "a list of values": lambda event: [effect(event), 1, "text"],
    }
    for number, (name, function) in enumerate(declared.items()):
        with only(None, function) as subscription:
            process(subscription, [arrival(number), arrival(100 + number)])
        assert Effect.objects.filter(number__in=(number, 100 + number)).count() == 2, name


def test_a_callable_without_a_name_asks_for_one() -> None:
    with own_subscribers(), pytest.raises(TypeError, match="name="):
        subscriber(Rang)(functools.partial(effect))


@pytest.mark.django_db
def test_tasks_that_an_async_subscriber_leaves_behind_are_a_failed_attempt() -> None:
    async def forgets(event: Rang) -> None:
        forgotten.append(asyncio.create_task(in_a_coroutine(event)))
        if event.mood == "begun":
            await asyncio.sleep(0)

    async def awaits(event: Rang) -> None:
        await asyncio.create_task(in_a_coroutine(event))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(0))

    forgotten: list[asyncio.Task] = []
    for mood in ("calm", "begun"):
        with only(None, forgets) as subscription, pytest.raises(DeliveryFailedError, match="had not ended"):
            process(subscription, [arrival(1, mood)])
    assert not Effect.objects.exists()
    with only(None, awaits) as subscription:
        process(subscription, [arrival(1)])
    assert Effect.objects.count() == 1


@pytest.fixture
def guard() -> Callable:
    """The worker's time limits."""
    limits = DeliveryTimeLimit()
    limits.after_process_boot(None)
    return limits.guard


def timed_out(subscription: Subscription, guard: Callable | None = None) -> float:
    """Run two events, of which one does not end in time; returns how long that took, in seconds."""
    started = time.monotonic()
    options = {"guard": guard} if guard else {}
    with pytest.raises(DeliveryFailedError) as failed:
        process(subscription, [arrival(1), arrival(2, "stuck")], **options)
    (failure,) = failed.value.failures
    assert isinstance(failure.error, TimeLimitError)
    assert failure.message.envelope.data["number"] == 2
    assert list(Effect.objects.values_list("number", flat=True)) == [1]
    return time.monotonic() - started


@pytest.mark.django_db(transaction=True)
def test_a_coroutine_ends_at_its_time_limit_and_its_neighbour_is_done() -> None:
    async def sleeps(event: Rang) -> None:
        await in_a_coroutine(event)
        if event.mood == "stuck":
            await asyncio.sleep(60)

    with only(None, sleeps, time_limit=600) as subscription:
        assert timed_out(subscription) < 30


@pytest.mark.django_db(transaction=True)
def test_a_coroutine_that_catches_its_cancellation_has_failed_all_the_same() -> None:
    async def catches_once(event: Rang) -> None:
        await in_a_coroutine(event)
        if event.mood == "stuck":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    async def goes_on(event: Rang) -> None:
        await in_a_coroutine(event)
        while event.mood == "stuck":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    async def catches_all(event: Rang) -> None:
        await in_a_coroutine(event)
        while event.mood == "stuck":
            with contextlib.suppress(BaseException):
                await asyncio.sleep(60)

    async def has_its_own_error(event: Rang) -> None:
        await in_a_coroutine(event)
        if event.mood == "stuck":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise ValueError("my own") from None

    for function in (catches_once, goes_on, catches_all, has_its_own_error):
        with only(None, function, time_limit=600) as subscription:
            assert timed_out(subscription) < 30, function.__name__
        Effect.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_a_coroutine_that_never_awaits_is_interrupted(guard: Callable) -> None:
    async def loops(event: Rang) -> None:
        await in_a_coroutine(event)
        while event.mood == "stuck":
            time.sleep(0.01)

    with only(None, loops, time_limit=600) as subscription:
        assert timed_out(subscription, guard) < 60


@pytest.mark.django_db(transaction=True)
def test_a_function_that_catches_the_interrupt_has_failed_all_the_same(guard: Callable) -> None:
    def catches(event: Rang) -> None:
        effect(event)
        with contextlib.suppress(BaseException):
            while event.mood == "stuck":
                time.sleep(0.01)

    with only(None, catches, time_limit=600) as subscription:
        assert timed_out(subscription, guard) < 60
