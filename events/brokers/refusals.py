"""Refusals: which subscribers' queues do not take messages now, and when each is tried again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ..logger import get_logger
from ..outbox.messages import OutboxRow

log = get_logger("events.relay")

#: Seconds until what was refused is tried again: the first pause, the longest pause.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: Seconds that a refused event is remembered for subscribers that had taken it as far as anybody knew; and how many.
CHARGED_FOR, CHARGED_AT_MOST = 60.0, 5_000
#: How often all subscribers of a topic must have taken what the exchange refused, until a queue of others is blamed.
ROUNDS_UNTIL_OTHERS_ARE_BLAMED = 3


@dataclass(slots=True)
class Refusal:
    """Why something is not taken, and when it is tried again (by the monotonic clock). singly: no event for several
    subscribers may be published to all of them meanwhile."""

    why: str
    singly: bool = False
    pause: float = 0.0
    next_try: float = 0.0


class Charged(NamedTuple):
    """A refused event that only the known refusers were owed: when, and its row."""

    at: float
    row: OutboxRow


class Refusals:
    """By subscriber: a queue that is full, missing, forbidden, or does not answer.

    A broker says of an event for several queues only that not all of them took it. So it is owed to each subscriber by
    itself, which shows who refuses. As long as that is known, the next refused events are owed to those alone: the
    others have them. Should one of the others have begun to refuse meanwhile, it is found out, too, since one event is
    owed to each of them now and then (`to_probe`); then it is owed what was refused lately (`charged_lately`).
    """

    def __init__(self) -> None:
        self._refusals: dict[str, Refusal] = {}
        self._charged: deque[Charged] = deque(maxlen=CHARGED_AT_MOST)
        self._probed: dict[str, float] = {}
        #: By topic, the subscribers that have not yet taken what the exchange refused.
        self._suspects: dict[str, set[str]] = {}
        #: By topic, how often every subscriber had taken what the exchange refused.
        self._cleared: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._refusals or self._suspects or self._cleared)

    def __contains__(self, name: str) -> bool:
        return name in self._refusals

    def names(self) -> list[str]:
        """Who refuses."""
        return list(self._refusals)

    def singly(self) -> set[str]:
        """Those whose events must go to each subscriber by itself."""
        return {name for name, refusal in self._refusals.items() if refusal.singly}

    def seconds_left(self, name: str) -> float:
        """Seconds until it is tried again; 0: now."""
        refusal = self._refusals.get(name)
        return max(refusal.next_try - time.monotonic(), 0.0) if refusal else 0.0

    def refused(self, name: str, *, why: str, singly: bool = False) -> bool:
        """Note a refusal; returns whether it is the first. Further ones before the next try change nothing."""
        first = name not in self._refusals
        refusal = self._refusals.setdefault(name, Refusal(why))
        refusal.why, refusal.singly = why, singly or refusal.singly
        if time.monotonic() >= refusal.next_try:
            refusal.pause = min(2 * refusal.pause, LONGEST_PAUSE) or FIRST_PAUSE
            refusal.next_try = time.monotonic() + refusal.pause
        if first:
            self._suspects.clear()
            log.error("a queue takes no events: they wait for it alone", subscriber=name, reason=why)
        return first

    def accepted(self, name: str) -> None:
        """Note that a queue has taken a message that was for it alone."""
        if self._refusals.pop(name, None):
            log.info("a queue takes events again", subscriber=name)
        for topic, suspects in list(self._suspects.items()):
            suspects.discard(name)
            if not suspects:
                del self._suspects[topic]
                self._cleared[topic] = self._cleared.get(topic, 0) + 1

    def accepted_by_all(self, topic: str, names: Iterable[str]) -> None:
        """Note that an event for several queues was taken by all of them."""
        for name in (*names, everybody(topic)):
            self.accepted(name)
        self._cleared.pop(topic, None)

    def suspect(self, topic: str, names: Iterable[str]) -> None:
        """Note that somebody has refused a topic, and that its events are owed to each subscriber by itself now."""
        self._suspects.setdefault(topic, set()).update(names)

    def others_are_to_blame(self, topic: str) -> bool:
        """Whether a queue that is none of ours must be what refuses: all of ours took all events by themselves."""
        return self._cleared.get(topic, 0) >= ROUNDS_UNTIL_OTHERS_ARE_BLAMED

    def charge(self, row: OutboxRow) -> None:
        """Note that a refused event was owed to the known refusers alone."""
        self._charged.append(Charged(time.monotonic(), row.without_data()))

    def charged_lately(self) -> list[OutboxRow]:
        """The events that were owed to the known refusers alone."""
        since = time.monotonic() - CHARGED_FOR
        return [one.row for one in self._charged if one.at >= since]

    def to_probe(self, names: Iterable[str]) -> list[str]:
        """Those among them that are owed one event to find out whether they refuse, once a second each."""
        now = time.monotonic()
        chosen = [name for name in names if now - self._probed.get(name, 0.0) >= FIRST_PAUSE]
        self._probed |= dict.fromkeys(chosen, now)
        return chosen


def everybody(topic: str) -> str:
    """Under which name the refusals of an event are kept that are not those of one subscriber."""
    return f"every subscriber of {topic}"
