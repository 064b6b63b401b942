"""Circles: the list of circles, and one circle, as one viewer sees them."""

from __future__ import annotations

from django.db.models import Exists, F, OuterRef, Value
from django.utils.translation import gettext as _

from feeds.errors import NotFoundError
from feeds.lists.pagination import PAGE_SIZE, Page, cursor_after, cursor_key, page_of
from feeds.lists.visibility import Viewer, user_or_none
from feeds.models import Circle, Membership
from feeds.models.circles import CircleQuerySet


def list_circles(*, viewer: Viewer = None, cursor: str | None = None, size: int = PAGE_SIZE) -> Page[Circle]:
    """All circles with `member_count is_member`, newest first. Raises BadCursorError."""
    rows = _with_membership(viewer).order_by("-pk")
    if cursor is not None:
        rows = rows.filter(pk__lt=cursor_key(cursor, "circles", int)[0])
    return page_of(rows[: size + 1], size=size, cursor=lambda last: cursor_after("circles", last.pk))


def suggested_circles(viewer: Viewer = None, *, size: int = 5) -> list[Circle]:
    """The circles with the most members that the viewer has not joined, with `member_count is_member`."""
    circles = _with_membership(viewer).filter(is_member=False)  # type: ignore[misc]
    return list(circles.order_by(F("member_count").desc(), "pk")[:size])


def get_circle(slug: str, *, viewer: Viewer = None) -> Circle:
    """One circle with `member_count is_member`. Raises NotFoundError."""
    found = _with_membership(viewer).with_slug(slug).first()
    if found is None:
        raise NotFoundError(_("This circle doesn't exist."))
    return found


def _with_membership(viewer: Viewer) -> CircleQuerySet:
    user = user_or_none(viewer)
    joined = Exists(Membership.objects.filter(circle=OuterRef("pk"), user=user)) if user else Value(False)
    return Circle.objects.with_member_count().annotate(is_member=joined).select_related("owner")
