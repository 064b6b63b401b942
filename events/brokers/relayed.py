"""Relayed: what relays gave to the broker, what it answered, and whether it can be reached."""

from __future__ import annotations

from ..figures import Counter, Gauge
from .contract import Answers

ANSWERS = ("confirmed", "refused", "returned", "forbidden")

PUBLISHED = Counter("airy_relay_published_total", "Messages that relays gave to the broker, again ones included")
ANSWERED = Counter(
    "airy_relay_answers_total",
    "What the broker answered: confirmed; refused, its queue is full or in trouble; returned, no queue takes it;"
    " forbidden, it may not be published",
    labels=["answer"],
    known=lambda: [(answer,) for answer in ANSWERS],
)
BROKER_UP = Gauge(
    "airy_broker_up",
    "Whether every worker and relay that needs the broker reaches it; 0, too, while none is alive",
    across="min",
    read=lambda: min(map(float, list(_reached.values())), default=None),
)
#: Whether this process reaches the broker, by what it needs it for.
_reached: dict[str, bool] = {}


def reached(what_for: str, is_reached: bool | None) -> None:
    """Note whether the broker was reached, for a relay or a worker; None: it is not needed any more."""
    if is_reached is None:
        _reached.pop(what_for, None)
    else:
        _reached[what_for] = is_reached


def count_answers(published: int, answers: Answers) -> None:
    """One pass of a relay."""
    if answers.error is None:
        reached("relay", True)
    PUBLISHED.inc(published)
    for answer in ANSWERS:
        if number := len(getattr(answers, answer)):
            ANSWERED.labels(answer).inc(number)


def count_handed_over(messages: int) -> None:
    """Messages that were given to a broker in this process, which takes them all."""
    reached("relay", True)
    PUBLISHED.inc(messages)
    ANSWERED.labels("confirmed").inc(messages)
