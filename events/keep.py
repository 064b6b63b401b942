"""Keep: how long what happened is kept, by topic. Without a keep time it is kept for ever.

The setting EVENTS_KEEP names a time for each pattern of topics. If several patterns fit a topic, the one with the most
words that are written out decides; among equals the longer time.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from .topics import PATTERN, matches

#: A keep time, or None: for ever.
KeepTime = dt.timedelta | None

#: No keep time is shorter: a message that is younger than half of it need not be compared with the floor.
SHORTEST = dt.timedelta(hours=1)
FOREVER = "forever"
#: How long the time of a partition is, unless EVENTS_PARTITION says otherwise.
PARTITION = "30d"
_TIME = re.compile(r"(\d{1,6})([hd])")
_UNITS = {"h": dt.timedelta(hours=1), "d": dt.timedelta(days=1)}


class KeepTimes:
    """The keep time of each topic."""

    def __init__(self, times: Mapping[str, KeepTime]) -> None:
        self._times = dict(times)

    def __bool__(self) -> bool:
        return any(time is not None for time in self._times.values())

    def of(self, topic: str) -> KeepTime:
        """The keep time of a topic; None: for ever."""
        fitting = {pattern: time for pattern, time in self._times.items() if _fits(pattern, topic)}
        most = max(map(_words, fitting), default=0)
        times = [time for pattern, time in fitting.items() if _words(pattern) == most]
        known = [time for time in times if time is not None]
        return max(known) if known and len(known) == len(times) else None

    def longest(self) -> KeepTime:
        """The time after which nothing is kept, whatever its topic; None: some topics are kept for ever."""
        known = [time for time in self._times.values() if time is not None]
        has_all = any(pattern in ("*", "#") for pattern in self._times)
        return max(known) if has_all and len(known) == len(self._times) else None


def keep_times() -> KeepTimes:
    """What EVENTS_KEEP says. Raises ImproperlyConfigured with the form that it takes."""
    return KeepTimes(as_keep_times(getattr(settings, "EVENTS_KEEP", None) or {}))


def as_keep_times(given: Any) -> dict[str, KeepTime]:
    """Keep times out of text ("*=365d, vote.*=30d") or of a mapping from pattern to timedelta, days, text or None.

    Raises ImproperlyConfigured with the form that it takes.
    """
    if isinstance(given, str):
        pairs = [part.partition("=") for part in given.split(",") if part.strip()]
        times = {pattern.strip(): time.strip() for pattern, _, time in pairs}
        if len(times) < len(pairs):
            raise ImproperlyConfigured(f"EVENTS_KEEP names a pattern twice: {given!r}. Leave one of them out")
    elif isinstance(given, Mapping):
        times = dict(given)
    else:
        raise ImproperlyConfigured(_cure("EVENTS_KEEP", given))
    for pattern in times:
        if not PATTERN.fullmatch(str(pattern)):
            raise ImproperlyConfigured(f"{_cure('EVENTS_KEEP', given)}; {pattern!r} is not a topic or pattern")
    return {pattern: as_keep_time("EVENTS_KEEP", time) for pattern, time in times.items()}


def as_keep_time(name: str, given: Any) -> KeepTime:
    """A keep time out of a timedelta, a number of days, or text such as 30d, 12h or forever; None: for ever.

    Raises ImproperlyConfigured with the form that it takes.
    """
    if given is None or given == FOREVER:
        return None
    if isinstance(given, str) and (written := _TIME.fullmatch(given)):
        given = int(written[1]) * _UNITS[written[2]]
    elif isinstance(given, int) and not isinstance(given, bool):
        given = dt.timedelta(days=min(given, 999_999))
    if not isinstance(given, dt.timedelta):
        raise ImproperlyConfigured(_cure(name, given))
    if given < SHORTEST:
        raise ImproperlyConfigured(f"{name} must not be shorter than 1h; it is {given}. Leave it out to keep for ever")
    return given


def partition_days() -> int:
    """How many days a partition of log and inbox has: EVENTS_PARTITION. Raises ImproperlyConfigured with the form that
    it takes."""
    given = getattr(settings, "EVENTS_PARTITION", PARTITION)
    time = as_keep_time("EVENTS_PARTITION", given)
    if time is None or time % dt.timedelta(days=1):
        raise ImproperlyConfigured(
            f"EVENTS_PARTITION must be a number of whole days, for example EVENTS_PARTITION=30d; it is {given!r}"
        )
    return time.days


def _cure(name: str, given: Any) -> str:
    form = f"a time in days or hours (30d, 12h) or {FOREVER}, for example {name}=30d"
    if name == "EVENTS_KEEP":
        form = f"topics or patterns, each with a time (30d, 12h or {FOREVER}), for example {name}=*=365d,vote.*=30d"
    return f"{name} must be {form}; it is {given!r}"


def _fits(pattern: str, topic: str) -> bool:
    """Whether a pattern fits; `*` alone stands for every topic."""
    return pattern == "*" or matches(pattern, topic)


def _words(pattern: str) -> int:
    """The number of words that are written out."""
    return sum(word not in ("*", "#") for word in pattern.split("."))
