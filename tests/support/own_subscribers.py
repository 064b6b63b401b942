"""own_subscribers: subscribers that one test declares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from events.subscription import subscriptions


@contextmanager
def own_subscribers() -> Iterator[None]:
    """On leaving, the subscribers are those from before: what is declared or changed inside is forgotten."""
    before = dict(subscriptions)
    try:
        yield
    finally:
        subscriptions.clear()
        subscriptions.update(before)
