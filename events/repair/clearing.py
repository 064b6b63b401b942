"""Clearing: the chores of this app. Events whose keep time is over go, and leftovers, a part of them each hour.

What is too much for an hour's part is for `manage.py prune`.
"""

from __future__ import annotations

from django.utils import timezone

from ..chores import chore
from ..logger import get_logger
from ..subscription import subscriptions
from .leftovers import clear_leftovers
from .models import Subscription
from .prune import Walks, prune

log = get_logger("events.prune")

#: Seconds of one part, and events per second: reconcile waits meanwhile, and `emit` shall not notice.
SECONDS, RATE = 30.0, 5_000


#: How far partitions were looked at: one of millions of events takes several times.
_walks: Walks = {}


@chore
def note_seen() -> None:
    """The subscriptions of this code are in use, also where no worker has started for 30 days."""
    Subscription.objects.filter(name__in=list(subscriptions)).update(seen_at=timezone.now())


@chore
def prune_in_parts() -> None:
    """Prune what has a keep time, for SECONDS at most."""
    for one in prune(rate=RATE, seconds=SECONDS, walks=_walks):
        for held in one.held.values():
            log.info("held up", topic=one.topic, holder=held.holder, events=held.count, first=held.first)


@chore
def clear_events_leftovers() -> None:
    """Delete leftovers, for SECONDS at most."""
    clear_leftovers(seconds=SECONDS)
