"""Counted: what became of deliveries, by subscriber, and how long after the event. A group is counted at once."""

from __future__ import annotations

import datetime as dt
from collections import Counter as Tally
from collections.abc import Collection, Iterable, Mapping

from ..db.dialect import DeliveryKey
from ..figures import OTHER, Counter, Histogram
from ..subscription import subscriptions
from .message import ReceivedMessage

#: What becomes of a delivery. A retry and a postponement are not its end.
DONE, SKIPPED, RETRY, POSTPONED, DEAD = OUTCOMES = ("done", "skipped", "retry", "postponed", "dead")

DELIVERIES = Counter(
    "airy_deliveries_total",
    "Deliveries by outcome: done; skipped, because it was done before; retry, after a failure; postponed, until newer"
    " code runs; dead, a dead letter",
    labels=["subscriber", "outcome"],
    known=lambda: [(name, outcome) for name in subscriptions for outcome in OUTCOMES],
)
LATENCY = Histogram(
    "airy_delivery_latency_seconds",
    "From an event until its effect is committed, with waits and retries but without replays",
    labels=["subscriber"],
    known=lambda: [(name,) for name in subscriptions],
)


def count_done(
    subscriber: str, messages: Mapping[DeliveryKey, ReceivedMessage], recorded: Collection[DeliveryKey]
) -> None:
    """Messages whose transaction is committed; those that were not recorded in it were done before."""
    DELIVERIES.labels(subscriber, DONE).inc(len(recorded))
    if skipped := len(messages) - len(recorded):
        DELIVERIES.labels(subscriber, SKIPPED).inc(skipped)
    now = dt.datetime.now(dt.UTC)
    times = [message.envelope.time for key in recorded if not key.run and (message := messages[key]).envelope]
    LATENCY.labels(subscriber).observe(*[max(0.0, (now - time).total_seconds()) for time in times])


def count_outcomes(subscriber: str, outcomes: Iterable[str]) -> None:
    """The other outcomes, once they are committed."""
    label = subscriber if subscriber in subscriptions else OTHER
    for outcome, number in Tally(outcomes).items():
        DELIVERIES.labels(label, outcome).inc(number)
