"""The JSON API of notifications: list them, list changes like a socket does, mark them read."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from django.utils.translation import gettext as _
from ninja import Query, Router
from pydantic import BaseModel, ConfigDict, Field

from feeds.api.auth import Request
from feeds.api.schemas.shape import Cursor, Input, PageOut, whole
from feeds.errors import InvalidError
from notifications.live.frames import MOST_NUMBERS
from notifications.models import Notification, Stream
from notifications.notices.listing import latest_notices, notices_after
from notifications.notices.notices import mark_read

router = Router(tags=["notifications"])

#: A number of a stream, as large as the database can hold.
Number = Annotated[int, Field(ge=0, lt=2**63), whole]


class NotificationOut(BaseModel):
    """A notice, with its text in the language asked for."""

    seq: int
    id: int
    kind: str
    data: dict[str, Any]
    read: bool
    created_at: dt.datetime
    text: str
    link: str

    @classmethod
    def of(cls, notice: Notification) -> NotificationOut:
        """From a notice with its text and link."""
        return cls.model_validate(notice, from_attributes=True)


class NotificationsOut(PageOut[NotificationOut]):
    """A page of notices, and the number of unread notices in all."""

    unread: int


class ReadIn(Input):
    """Mark all notices up to the number `upto` as read, or those with the numbers `seqs` and no others."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["upto"]}, {"required": ["seqs"]}]})

    upto: Number = 0
    seqs: Annotated[list[Number], Field(max_length=MOST_NUMBERS)] = []


class ReadOut(BaseModel):
    """The state of the stream then."""

    unread: int
    read_upto: int


@router.get("/notifications", response=NotificationsOut)
def list_notifications(
    request: Request, after_seq: Annotated[Number | None, Query()] = None, cursor: Cursor = None
) -> NotificationsOut:
    """The latest first; with `after_seq` those changed after that number, in order."""
    if after_seq is None:
        page = latest_notices(request.auth, cursor=cursor)
    else:
        page = notices_after(request.auth, after=after_seq, cursor=cursor)
    unread = Stream.objects.filter(user=request.auth).values_list("unread", flat=True).first()
    items = [NotificationOut.of(notice) for notice in page.items]
    return NotificationsOut(items=items, next_cursor=page.next_cursor, unread=unread or 0)


@router.post("/notifications/read", response=ReadOut)
def read_notifications(request: Request, read: ReadIn) -> ReadOut:
    """Mark notices as read. Those that are read already, or have changed since, stay as they are."""
    if len(read.model_fields_set) != 1:
        raise InvalidError("seqs", _("Send either upto or seqs."))
    stream = mark_read(request.auth.pk, upto=read.upto, seqs=read.seqs)
    return ReadOut(unread=stream.unread, read_upto=stream.read_upto)
