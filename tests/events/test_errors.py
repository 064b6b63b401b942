"""An error becomes text, whatever its own methods do."""

from __future__ import annotations

import logging

import pytest

from events.errors import SUMMARY, TRACEBACK, summary, with_traceback
from events.inbox.delivery import DeliveryFailedError, process
from events.inbox.retry import record_failures
from events.models import Delivery
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.events.inbox.test_delivery import arrival
from tests.support.broker_case import only


class BadReprError(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class BadStrError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no str")


class NoTextError(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]

    def __repr__(self) -> str:
        return None  # type: ignore[return-value]


class ExitingError(Exception):
    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


class EndlessError(Exception):
    def __str__(self) -> str:
        return str(self)

    __repr__ = __str__


class BadNotesError(Exception):
    @property
    def __notes__(self) -> list[str]:
        raise RuntimeError("no notes")


class BadCauseError(Exception):
    @property
    def __cause__(self) -> BaseException:
        raise RuntimeError("no cause")


def bad() -> list[Exception]:
    return [
        BadReprError("x"),
        BadStrError("x"),
        NoTextError("x"),
        ExitingError("x"),
        EndlessError("x"),
        BadNotesError("x"),
        BadCauseError("x"),
        ExceptionGroup("several", [BadStrError(), BadReprError(), ExceptionGroup("more", [NoTextError()])]),
    ]


@pytest.mark.parametrize("error", bad(), ids=lambda error: type(error).__name__)
def test_an_error_that_cannot_be_printed_is_known_by_its_type(error: Exception) -> None:
    name = type(error).__name__
    assert name in summary(error)
    assert name in with_traceback(error)


def test_a_huge_error_is_cut() -> None:
    huge = ValueError("x" * 50_000_000)
    assert len(summary(huge)) == SUMMARY
    assert len(with_traceback(huge)) < TRACEBACK + 100
    assert "ValueError" in with_traceback(huge)[:1_000]


@pytest.mark.django_db
def test_a_delivery_that_fails_with_it_is_recorded_and_its_neighbours_are_done() -> None:
    errors = bad()

    def fails(event: Rang) -> None:
        Effect.objects.create(subscriber="printed", number=event.number)
        if event.mood == "bad":
            raise errors[event.number]

    given = [arrival(number, "bad") for number in range(len(errors))]
    with only(None, fails, max_retries=0) as subscription:
        with pytest.raises(DeliveryFailedError) as failed:
            process(subscription, [arrival(100), *given, arrival(101)])
        record_failures(failed.value)
    assert sorted(Effect.objects.values_list("number", flat=True)) == [100, 101]
    for error, message in zip(errors, given, strict=True):
        dead = Delivery.objects.get(event_id=message.event_id)
        assert (dead.state, dead.failures.count()) == ("dead", 1)
        assert type(error).__name__ in dead.reason


@pytest.mark.django_db(transaction=True)
def test_a_failed_callback_is_logged_with_its_subscriber_and_event_and_the_others_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    import functools

    from django.db import transaction

    from events.bus import emit

    ran: list[int] = []

    def late(event: Rang, error: BaseException | None) -> None:
        if error is None:
            emit(Rang(number=7))
        else:
            raise error

    def registers(event: Rang) -> None:
        Effect.objects.create(subscriber="late", number=event.number)
        transaction.on_commit(functools.partial(late, event, errors[event.number]))
        transaction.on_commit(lambda: ran.append(event.number))

    errors: list[BaseException | None] = [None, *bad(), SystemExit()]
    given = [arrival(number) for number in range(len(errors))]
    with caplog.at_level(logging.ERROR, logger="events.delivery"), only(None, registers) as subscription:
        process(subscription, given)
    assert ran == list(range(len(errors)))
    lines = [record for record in caplog.records if "on_commit" in record.getMessage()]
    assert [line.subscriber for line in lines] == [subscription.name] * len(errors)
    assert [line.event_id for line in lines] == [str(message.event_id) for message in given]
    assert "EmitOutsideTransactionError" in lines[0].error
    assert lines[0].topic == "bell.rang"
    assert Effect.objects.count() == Delivery.objects.filter(state="done").count() == len(errors)
