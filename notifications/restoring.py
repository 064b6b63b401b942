"""Restoring: after an older dump was restored, browsers have seen higher numbers than the streams have now."""

import uuid

from events.bus import after_restore
from notifications.models import Stream


@after_restore
def begin_new_epochs() -> str:
    """A new epoch for each stream: browsers load their notices anew."""
    number = Stream.objects.update(epoch=uuid.uuid4())
    return f"Streams of notices that begin a new epoch: {number:,}"
