"""Events for the subscribers of tests.effects, and what is expected of their effects."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from django.db import transaction

from events.bus import emit_many
from events.models import Delivery, OutboxMessage
from tests.effects.events import Rang
from tests.effects.models import Effect

#: The subscribers of `Rang`, by the names in their effects.
SUBSCRIBERS = ("moody", "in_batches", "alone", "with_await")


def ring(count: int, *, start: int = 0, mood: str = "calm", **options: Any) -> list[uuid.UUID]:
    """Emit events with numbers from `start` on in one transaction; returns their ids."""
    with transaction.atomic():
        return emit_many([Rang(number=number, mood=mood) for number in range(start, start + count)], **options)


def ring_moods(*moods: str) -> list[uuid.UUID]:
    """Emit one event for each mood, numbered from 0, in one transaction; returns their ids."""
    with transaction.atomic():
        return emit_many([Rang(number=number, mood=mood) for number, mood in enumerate(moods)])


def all_done(events: int) -> bool:
    """Whether each subscriber has the outcome of this many events, and the outbox is empty."""
    final = Delivery.objects.filter(subscriber__startswith="effects.").exclude(state="retrying").count()
    return final == events * len(SUBSCRIBERS) and not OutboxMessage.objects.exists()


def assert_one_effect_each(events: int) -> None:
    """Each subscriber has one effect of each of the events 0, 1, 2, …"""
    for name in SUBSCRIBERS:
        counted = Counter(Effect.objects.filter(subscriber=name).values_list("number", flat=True))
        assert counted == Counter(range(events)), name
