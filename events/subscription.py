"""Subscription: a function that reacts to events, as this code declares it, with its own queue, retries and dead
letters. (What the database remembers of it is the model `repair.models.Subscription`.)"""

from __future__ import annotations

import datetime as dt
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.conf import settings

from .calling import Guard, as_callable, call, name_of, unlimited
from .event import Event
from .pace import Pace
from .topics import PATTERN, matches

Function = TypeVar("Function", bound=Callable[..., Any])

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")

#: Seconds.
YEAR = 366 * 86_400
#: The least and the greatest value of each option. RabbitMQ lets a consumer hold 65,535 messages: four full groups
#: must fit.
BOUNDS = {
    "batch": (1, 10_000),
    "group": (1, 10_000),
    "max_retries": (0, 10_000),
    "min_backoff": (1, YEAR * 1_000),
    "max_backoff": (1, YEAR * 1_000),
    "time_limit": (1, 2**31 - 1),
    "priority": (0, 9),
    "concurrency": (1, 10_000),
    "concurrency_total": (1, 10_000),
}
#: Options that may be None: not set.
OPTIONAL = ("batch", "concurrency", "concurrency_total")
#: Characters of a name, at most: the width of the columns that store it.
MAX_NAME_LENGTH = 200

#: Every subscription of this process by name.
subscriptions: dict[str, Subscription] = {}


class RetryAfter(Exception):  # noqa: N818 - a signal, no error
    """A subscriber raises it: try again after `seconds` (a number or a timedelta). It counts as an attempt.

    Raises ValueError unless that is from 0 to a year.
    """

    def __init__(self, seconds: float | dt.timedelta) -> None:
        if isinstance(seconds, dt.timedelta):
            seconds = seconds.total_seconds()
        if not isinstance(seconds, (int, float)) or not 0 <= seconds <= YEAR:
            raise ValueError(f"RetryAfter({seconds!r}) is not valid: give seconds or a timedelta, from 0 to one year")
        super().__init__(f"retry after {seconds} s")
        self.seconds = seconds


class PermanentFailure(Exception):  # noqa: N818 - a signal, no error
    """A subscriber raises it: no retry can help, make the event a dead letter."""


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """The options of one subscriber. Durations are milliseconds. origin: where the function is defined."""

    name: str
    function: Callable[..., Any]
    origin: str
    patterns: tuple[str, ...]
    batch: int | None = None
    group: int = 50
    max_retries: int = 5
    min_backoff: int = 1_000
    max_backoff: int = 600_000
    time_limit: int = 600_000
    priority: int = 0
    concurrency: int | None = None
    concurrency_total: int | None = None
    replayable: bool = False
    takes_redacted: bool = False
    atomic: bool = True
    pace: Pace = field(default_factory=Pace, compare=False, repr=False)

    @property
    def queue(self) -> str:
        """The queue's name: the prefix of the project and the subscriber's name."""
        return queue_of(self.name)

    @property
    def group_size(self) -> int:
        """The number of waiting events that may share one transaction."""
        return self.batch or (self.group if self.atomic else 1)

    def wants(self, topic: str) -> bool:
        """Whether an event of this topic is for this subscriber."""
        return any(matches(pattern, topic) for pattern in self.patterns)

    def call(self, events: list[Event], *, guard: Guard = unlimited) -> None:
        """Run the function to its end: a batch subscriber on the list, any other on the one event.

        guard: enforces the time limit. Raises what the function raises, UnrunError and TimeLimitExceeded.
        """
        call(self.function, events if self.batch else events[0], time_limit=self.time_limit, guard=guard)


def subscriber(*what: type[Event] | str, **options: Any) -> Callable[[Function], Function]:
    """Make a function the subscriber of event classes or topic patterns ("vote.*", "#").

    The function gets one event or, with `batch=N`, a list of up to N. The record of its delivery is written in the same
    transaction, so its effect happens exactly once as long as it writes to its database only. Put anything else in
    `transaction.on_commit`. Waiting events share a transaction, `group` (50) at most; `group=1` is for a subscriber
    that cannot share one.

    name: "<app>.<function>" by default. It names the queue: keep it with `name=` when you rename the function.
    max_retries: runs after the first one, before the event becomes a dead letter (5).
    min_backoff, max_backoff, time_limit: milliseconds or timedelta (1 s, 10 min, 10 min).
    priority: 0 to 9; waiting events of a higher one run first.
    concurrency: groups of it that run at once in a worker process (half of its threads).
    concurrency_total: groups of it that run at once in all processes together, where the database is PostgreSQL (no
    limit); on SQLite the single writer is the limit.
    replayable: running it again is harmless.
    takes_redacted: a replay brings it redacted events, too: it needs nothing of what was erased.
    atomic=False: for work in many transactions that is idempotent by itself.

    Raises TypeError or ValueError at declaration, saying what to write instead.
    """
    if not what or (len(what) == 1 and callable(what[0]) and not isinstance(what[0], type)):
        raise TypeError(
            "subscriber() needs event classes or patterns: @subscriber(PostPublished) or @subscriber('vote.*')"
        )
    patterns = tuple(_pattern(one) for one in what)

    def declare(function: Function) -> Function:
        subscription = Subscription(
            **_checked(options | {"name": options.get("name") or _default_name(function)}),
            patterns=patterns,
            function=as_callable(function),
            origin=name_of(function),
        )
        _register(subscription, function)
        return function

    return declare


def queue_of(name: str) -> str:
    """The name of a subscriber's queue; the subscriber need not exist here."""
    return f"{getattr(settings, 'MQ_QUEUE_PREFIX', 'airy.')}{name}"


def interested_in(topic: str) -> list[Subscription]:
    """The subscriptions that want a topic."""
    return [subscription for subscription in subscriptions.values() if subscription.wants(topic)]


def _pattern(what: type[Event] | str) -> str:
    if isinstance(what, str):
        if not PATTERN.fullmatch(what):
            raise ValueError(
                f"{what!r} is not a topic pattern: use words of a-z, 0-9, _ separated by dots; * is one word, # any"
            )
        return what
    if isinstance(what, type) and issubclass(what, Event):
        if not what.topic:
            raise TypeError(f"{what.__name__} has no topic: subscribe to its subclasses, or to a pattern")
        return what.topic
    raise TypeError(f"{what!r} is neither an Event class nor a topic pattern such as 'vote.*'")


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """The options, with durations in milliseconds. Raises TypeError or ValueError with what to write instead."""
    known = set(Subscription.__dataclass_fields__) - {"function", "origin", "patterns", "pace"}
    if unknown := sorted(set(options) - known):
        raise TypeError(f"subscriber() has no option {', '.join(unknown)}; it takes {', '.join(sorted(known))}")
    options = {name: _in_milliseconds(name, value) for name, value in options.items()}
    _check_values(options)
    _check_combinations(options)
    _check_concurrency(options)
    _check_name(options["name"])
    return options


def _in_milliseconds(name: str, value: Any) -> Any:
    is_duration = name in ("min_backoff", "max_backoff", "time_limit") and isinstance(value, dt.timedelta)
    return int(value / dt.timedelta(milliseconds=1)) if is_duration else value


def _check_values(options: dict[str, Any]) -> None:
    for name, (least, most) in BOUNDS.items():
        value = options.get(name, least)
        if name in OPTIONAL and value is None:
            continue
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"subscriber({name}={value!r}): it must be a whole number from {least:,} to {most:,}")
    for name in ("replayable", "takes_redacted", "atomic"):
        if not isinstance(options.get(name, True), bool):
            raise ValueError(f"subscriber({name}=…) must be True or False")


def _check_combinations(options: dict[str, Any]) -> None:
    batch, group = options.get("batch"), options.get("group")
    if options.get("min_backoff", Subscription.min_backoff) > options.get("max_backoff", Subscription.max_backoff):
        raise ValueError("subscriber(min_backoff=…) must not be longer than max_backoff")
    if batch and group is not None:
        raise ValueError("subscriber() takes batch= or group=, not both: a batch is its own group")
    if not options.get("atomic", True) and (batch or group not in (None, 1)):
        raise ValueError("subscriber(atomic=False) takes no batch= or group=: it uses its own transactions")


def _check_concurrency(options: dict[str, Any]) -> None:
    own, total = options.get("concurrency"), options.get("concurrency_total")
    if own and total and total < own:
        raise ValueError(
            f"subscriber(concurrency_total={total}) must not be less than concurrency={own}:"
            " a process may never run more than all processes together; leave out concurrency="
        )


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"subscriber(name={name!r}): use letters, digits, dots, _ and -, and do not start with a digit"
        )
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(
            f"subscriber(name={name!r}): the limit is {MAX_NAME_LENGTH} characters; choose a shorter name="
        )


def _default_name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", "")
    if not name:
        raise TypeError(f"{name_of(function)}: what is called has no name of its own; give the subscriber a name=")
    app = function.__module__.split(".subscribers")[0].split(".")[-1]
    return f"{app}.{name}"


def _register(subscription: Subscription, function: Callable[..., Any]) -> None:
    required = _required(function)
    if required is not None and len(required) != 1:
        takes = "the list of events" if subscription.batch else "the event"
        raise TypeError(
            f"{subscription.name}: a subscriber takes one argument, {takes}; this one takes {len(required)}"
        )
    known = subscriptions.get(subscription.name)
    if known is not None and known.origin != subscription.origin:
        raise ValueError(
            f"subscriber name {subscription.name!r} is already taken by {known.origin}; set name= on one of them"
        )
    subscriptions[subscription.name] = subscription
    for on_subscription in listeners:
        on_subscription(subscription)


def _required(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """The arguments that a call must give; None if the function does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return None
    return [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


#: Called with each new subscription: the broker declares an actor for it.
listeners: list[Callable[[Subscription], None]] = []
