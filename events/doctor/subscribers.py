"""Subscribers: is each one known, and has none given up?"""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding, Severity
from ..inbox.models import DeadLetter, Delivery
from ..repair.models import Subscription
from ..subscription import subscriptions
from .examination import examination


@examination("Subscriptions", needs_database=True)
def seen() -> Iterator[Finding]:
    """What the code subscribes and what the database knows are the same."""
    known = {row.name: row for row in Subscription.objects.order_by("name")}
    if unseen := sorted(subscriptions.keys() - known.keys()):
        yield Finding(
            problem=f"Not yet seen, and not guarded by reconcile: the subscriptions {', '.join(unseen)}.",
            cure="Run `manage.py migrate`, or start a worker: either announces what the code subscribes.",
        )
    for name in sorted(known.keys() - subscriptions.keys()):
        last = f"{known[name].seen_at:%Y-%m-%d}"
        yield Finding(
            problem=f"{name} is no longer in the code (last seen on {last}), and its queue still fills.",
            cure="If it is gone for good: `manage.py topology unbind --delete-queue`. If it was renamed, give the new "
            "one what the old one missed: `manage.py replay`.",
            severity=Severity.WARNING,
        )


@examination("Dead letters", needs_database=True)
def dead_letters() -> Iterator[Finding]:
    """No delivery was given up."""
    if DeadLetter.objects.filter(state=Delivery.State.DEAD)[:1]:
        yield Finding(
            problem="There are dead letters: deliveries that were given up and wait for a person.",
            cure="`manage.py dead_letters list` shows them by error; then requeue or discard them.",
            severity=Severity.WARNING,
        )
