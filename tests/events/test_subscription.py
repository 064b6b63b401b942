"""subscriber: patterns, options, names."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from events.bus import Event, subscriber
from events.subscription import subscriptions
from events.topics import matches
from tests.effects.events import Rang
from tests.support.own_subscribers import own_subscribers


@pytest.fixture(autouse=True)
def leave_no_subscribers() -> Iterator[None]:
    with own_subscribers():
        yield


@pytest.mark.parametrize(
    ("pattern", "topic", "fits"),
    [
        ("post.published", "post.published", True),
        ("post.*", "post.published", True),
        ("post.*", "post.published.twice", False),
        ("post.#", "post.published.twice", True),
        ("post.#", "post", True),
        ("#", "anything.at.all", True),
        ("*.voted", "post.voted", True),
        ("*.voted", "voted", False),
        ("#.voted", "voted", True),
    ],
)
def test_patterns_match_as_a_topic_exchange_does(pattern: str, topic: str, fits: bool) -> None:
    assert matches(pattern, topic) is fits


def test_the_name_is_app_and_function_and_names_the_queue() -> None:
    assert subscriptions["effects.moody"].queue == "airy.effects.moody"
    assert subscriptions["effects.asynchronous"].queue == "airy.effects.asynchronous"


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        ({"retries": 3}, "has no option retries"),
        ({"batch": 0}, "from 1 to 10,000"),
        ({"group": 20_000}, "from 1 to 10,000"),
        ({"name": "x" * 201}, "the limit is 200 characters"),
        ({"batch": 10, "group": 5}, "not both"),
        ({"atomic": False, "batch": 10}, "no batch= or group="),
        ({"priority": 10}, "from 0 to 9"),
        ({"min_backoff": 5000, "max_backoff": 1000}, "not be longer"),
        ({"concurrency": 0}, "from 1 to 10,000"),
        ({"concurrency_total": 2.5}, "from 1 to 10,000"),
        ({"concurrency": 4, "concurrency_total": 2}, "must not be less than concurrency=4"),
        ({"name": "with blanks"}, "letters, digits"),
        ({"replayable": "yes"}, "True or False"),
    ],
)
def test_a_wrong_option_fails_at_declaration_with_the_cure(options: dict[str, Any], cure: str) -> None:
    with pytest.raises((TypeError, ValueError), match=cure):

        @subscriber(Rang, **options)
        def hear(event: Rang) -> None: ...


def test_a_pattern_must_be_one() -> None:
    with pytest.raises(ValueError, match="not a topic pattern"):
        subscriber("Post Published")
    with pytest.raises(TypeError, match="has no topic"):
        subscriber(Event)
    with pytest.raises(TypeError, match="needs event classes"):
        subscriber(lambda event: None)


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ValueError, match="is already taken by"):

        @subscriber(Rang, name="effects.moody")
        def other(event: Rang) -> None: ...


def test_a_function_with_two_arguments_is_refused() -> None:
    with pytest.raises(TypeError, match="takes one argument"):

        @subscriber(Rang)
        def hear(event: Rang, volume: int) -> None: ...


def test_durations_may_be_timedeltas() -> None:
    @subscriber(Rang, time_limit=dt.timedelta(seconds=2))
    def hear(event: Rang) -> None: ...

    assert subscriptions["test_subscription.hear"].time_limit == 2000
