"""Export: what the archive of a person has of notifications."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import islice
from typing import Any, Self

from pydantic import BaseModel

from feeds.export.section import ROWS_AT_ONCE, Section
from feeds.models import User
from notifications.models import Notification
from notifications.notices import wording
from notifications.notices.subjects import refresh


class ArchivedNotification(BaseModel):
    """A notice that is not withdrawn, with its text in the language that was asked for."""

    seq: int
    kind: str
    text: str
    data: dict[str, Any]
    created_at: dt.datetime
    read_at: dt.datetime | None

    @classmethod
    def of(cls, notice: Notification) -> Self:
        return cls(
            seq=notice.seq,
            kind=notice.kind,
            text=wording.text(notice.kind, notice.data),
            data=notice.data,
            created_at=notice.created_at,
            read_at=notice.read_at,
        )


def _notices(user: User) -> Iterator[Notification]:
    rows = Notification.objects.shown().filter(user=user).order_by("seq").iterator(chunk_size=ROWS_AT_ONCE)
    while piece := list(islice(rows, ROWS_AT_ONCE)):
        yield from refresh(piece)


SECTIONS = (
    Section(
        name="notifications",
        item=ArchivedNotification,
        rows=_notices,
        relations=("notifications.Notification.user",),
    ),
)

#: Relations to a user that are in no section, and why.
LEFT_OUT = {"notifications.Stream.user": "counts the notices, which are in the archive"}
