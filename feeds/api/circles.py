"""Circles: list, show, create, join, leave."""

from ninja import Router, Status

from feeds import actions
from feeds.api.auth import USER_OR_VISITOR, OpenRequest, Request
from feeds.api.schemas.circles import CircleIn, CircleOut, MembershipOut
from feeds.api.schemas.shape import Cursor, PageOut, SlugPath
from feeds.lists.circles import get_circle, list_circles
from feeds.models import User

router = Router(tags=["circles"])


@router.get("", auth=USER_OR_VISITOR, response=PageOut[CircleOut])
def circles(request: OpenRequest, cursor: Cursor = None) -> PageOut[CircleOut]:
    """All circles, newest first."""
    return PageOut.of(list_circles(viewer=request.auth, cursor=cursor), CircleOut.of)


@router.post("", response={201: CircleOut})
def create_circle(request: Request, circle: CircleIn) -> Status[CircleOut]:
    """Create a circle. You own it and are its first member."""
    created = actions.create_circle(request.auth, **circle.model_dump())
    return Status(201, CircleOut.of(get_circle(created.slug, viewer=request.auth)))


@router.get("/{slug}", auth=USER_OR_VISITOR, response=CircleOut)
def circle(request: OpenRequest, slug: SlugPath) -> CircleOut:
    """A circle. Its posts: `GET /api/posts?circle=<slug>`."""
    return CircleOut.of(get_circle(slug, viewer=request.auth))


@router.put("/{slug}/membership", response=MembershipOut)
def join(request: Request, slug: SlugPath) -> MembershipOut:
    """Join a circle; its posts come into your feed."""
    actions.join(request.auth, slug=slug)
    return _membership(request.auth, slug)


@router.delete("/{slug}/membership", response=MembershipOut)
def leave(request: Request, slug: SlugPath) -> MembershipOut:
    """Leave a circle."""
    actions.leave(request.auth, slug=slug)
    return _membership(request.auth, slug)


def _membership(user: User, slug: SlugPath) -> MembershipOut:
    seen = get_circle(slug, viewer=user)
    return MembershipOut(member=seen.is_member, member_count=seen.member_count)  # type: ignore[attr-defined]
