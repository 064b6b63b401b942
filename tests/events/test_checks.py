"""Settings and declarations with which events would not flow as promised are named at the start, with the cure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import pytest
from django.test import override_settings
from dramatiq.brokers.stub import StubBroker

from events.brokers.contract import EventBroker
from events.brokers.embedded import EmbeddedBroker
from events.brokers.rabbitmq import RabbitmqBroker
from events.checks import (
    check_broker,
    check_command,
    check_one_database,
    check_signing_keys,
    check_threads,
    check_time_limits,
)
from tests.effects.models import Account
from tests.support.broker_case import only


def test_a_broker_that_carries_no_events_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_broker() == []
    monkeypatch.setattr("dramatiq.get_broker", StubBroker)
    assert [one.id for one in check_broker()] == ["events.E001"]


def test_a_method_that_a_broker_of_ones_own_lacks_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unfinished(EventBroker):
        def idle(self, queues: Iterable[str]) -> set[str]:
            return set()

    monkeypatch.setattr("dramatiq.get_broker", Unfinished)
    assert [one.msg for one in check_broker()] == [
        f"Unfinished has no method {name}()." for name in ("courier", "consume")
    ]


def test_a_project_whose_rundramatiq_is_not_ours_is_warned_where_the_broker_is_at_a_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dramatiq.get_broker", RabbitmqBroker)
    assert check_command() == []
    monkeypatch.setattr("events.checks.get_commands", lambda: {"rundramatiq": "django_dramatiq"})
    (warning,) = check_command()
    assert 'Put "events" before "django_dramatiq"' in str(warning.hint)
    monkeypatch.setattr("dramatiq.get_broker", EmbeddedBroker)
    assert check_command() == []


def test_a_run_that_rabbitmq_would_not_wait_for_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    with only(None, lambda event: None, time_limit=dt.timedelta(minutes=40)) as subscription:
        monkeypatch.setattr("dramatiq.get_broker", EmbeddedBroker)
        assert check_time_limits() == []
        monkeypatch.setattr("dramatiq.get_broker", RabbitmqBroker)
        (warning,) = check_time_limits()
        assert subscription.name in warning.msg
    assert check_time_limits() == []


def test_signing_keys_and_a_source_that_cannot_be_used_are_errors(settings: Any) -> None:
    assert check_signing_keys() == []
    settings.EVENTS_SIGNING_KEYS, settings.EVENTS_SOURCE = "not a list", "/" + "x" * 200
    assert [one.id for one in check_signing_keys()] == ["events.E010", "events.E011"]


def test_what_a_message_waits_for_in_its_worker_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dramatiq.get_broker", RabbitmqBroker)
    minutes = dt.timedelta(minutes=1)
    for warned, options in (
        (True, {"time_limit": 11 * minutes}),
        (True, {"time_limit": 11 * minutes, "batch": 100}),
        (True, {"time_limit": 11 * minutes, "group": 1}),
        (False, {"time_limit": 5 * minutes, "group": 1}),
        (False, {}),
    ):
        with only(None, lambda event: None, **options) as subscription:
            assert [subscription.name in warning.msg for warning in check_time_limits()] == [True] * warned, options


class OrdersElsewhere:
    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "shopdb" if model is Account else None


def test_a_model_in_another_database_than_its_events_is_warned_of() -> None:
    assert check_one_database() == []
    with override_settings(DATABASE_ROUTERS=[OrdersElsewhere()]):
        (warning,) = check_one_database()
    assert "Account is written to 'shopdb', events to 'default'" in warning.msg
    assert "router" in str(warning.hint)


def test_one_thread_is_warned_about_where_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAMATIQ_NTHREADS", "1")
    assert [one.id for one in check_threads()] == ["events.W009"]
    monkeypatch.setenv("DRAMATIQ_NTHREADS", "8")
    assert check_threads() == []
