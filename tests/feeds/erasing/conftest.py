"""Fixtures: a subscriber that fails with every word it hears."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from events.bus import subscriber
from feeds.events import CommentCreated, PostPublished, UserRegistered
from tests.support.own_subscribers import own_subscribers


@pytest.fixture
def quoting_subscriber() -> Iterator[str]:
    """Its name. All that it was called with ends as dead letters, whose errors quote what people wrote."""
    name = f"effects.quoting_{uuid.uuid4().hex[:8]}"
    with own_subscribers():

        @subscriber(PostPublished, CommentCreated, UserRegistered, name=name, max_retries=1)
        def quoting(event: PostPublished | CommentCreated | UserRegistered) -> None:
            raise ValueError(f"cannot bear {event!r}")

        yield name
