"""Export: everything that is stored of the person who asks, as one JSON archive, from the API or the settings page."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe
from ninja import Router
from pydantic import BaseModel, create_model

from feeds import limits
from feeds.api.auth import SESSION_ONLY, Request
from feeds.export import sections as feeds
from feeds.export.archive import write_archive
from feeds.export.download import Download
from feeds.export.items import ArchivedAccount
from feeds.models import User
from feeds.views.access import UserRequest, signed_in
from notifications import export as notifications

SECTIONS = (*feeds.SECTIONS, *notifications.SECTIONS)
#: Relations to a user that the archive leaves out, and why.
LEFT_OUT = feeds.LEFT_OUT | notifications.LEFT_OUT

router = Router(tags=["accounts"])


class ArchiveHead(BaseModel):
    """Everything that is stored of you, at one moment. A list is in the order of its rows.

    `version` rises when a key changes its meaning or goes; keys may be added.
    """

    format: str
    version: int
    exported_at: dt.datetime
    account: ArchivedAccount


_lists: dict[str, Any] = {section.name: (list[section.item], ...) for section in SECTIONS}  # type: ignore[name-defined]
Archive: type[ArchiveHead] = create_model("Archive", __base__=ArchiveHead, __doc__=ArchiveHead.__doc__, **_lists)


@router.get("/me/export", auth=SESSION_ONLY, response=Archive)
def export_me(request: Request) -> HttpResponseBase:
    """Everything that is stored of you, as one JSON archive. Needs a session; a few times an hour."""
    return _archive_of(request, request.auth)


@require_safe
@signed_in
def export_page(request: UserRequest) -> Any:
    """`/settings/export`: the same archive."""
    return _archive_of(request, request.user)


def _archive_of(request: HttpRequest, user: User) -> Download:
    limits.spend(limits.EXPORTS, limits.client(request, user))
    name = f"airy-{user.username}-{timezone.now():%Y-%m-%d}.json"
    return Download(write_archive(user, SECTIONS), name=name, content_type="application/json")
