"""Installation: the id of this one, kept in its database."""

from __future__ import annotations

import uuid

from .models import Installation


def installation_id() -> uuid.UUID:
    """The id; made once, when the tables are."""
    return Installation.objects.get_or_create(key=1)[0].installation_id
