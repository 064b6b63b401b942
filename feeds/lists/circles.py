"""Directory: the circles, as one viewer sees them."""

from __future__ import annotations

from django.db.models import Exists, F, OuterRef, Value
from django.utils.translation import gettext as _

from feeds.errors import NotFoundError
from feeds.lists.pagination import SIZE, Page, cursor_after, key_of, page_of
from feeds.lists.visibility import Viewer, signed_in
from feeds.models import Circle, Membership
from feeds.models.circles import CircleQuerySet


def circles(*, viewer: Viewer = None, cursor: str | None = None, size: int = SIZE) -> Page[Circle]:
    """All circles, the newest first, with `member_count is_member`. Raises BadCursorError."""
    rows = _shown(viewer).order_by("-pk")
    if cursor is not None:
        rows = rows.filter(pk__lt=key_of(cursor, "circles", int)[0])
    return page_of(rows[: size + 1], size=size, cursor=lambda last: cursor_after("circles", last.pk))


def suggested(viewer: Viewer = None, *, size: int = 5) -> list[Circle]:
    """The largest circles that the viewer has not joined, with the same."""
    circles = _shown(viewer).filter(is_member=False)  # type: ignore[misc]
    return list(circles.order_by(F("member_count").desc(), "pk")[:size])


def circle(slug: str, *, viewer: Viewer = None) -> Circle:
    """One circle, with the same. Raises NotFoundError."""
    found = _shown(viewer).at(slug).first()
    if found is None:
        raise NotFoundError(_("There is no such circle."))
    return found


def _shown(viewer: Viewer) -> CircleQuerySet:
    user = signed_in(viewer)
    joined = Exists(Membership.objects.filter(circle=OuterRef("pk"), user=user)) if user else Value(False)
    return Circle.objects.with_member_count().annotate(is_member=joined).select_related("owner")
