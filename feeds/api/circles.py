"""Circles: list, look at, found, join, leave."""

from ninja import Router, Status

from feeds import actions
from feeds.api.auth import ANYBODY, OpenRequest, Request
from feeds.api.schemas.circles import CircleIn, CircleOut, MembershipOut
from feeds.api.schemas.shape import Optional, PageOut
from feeds.lists import circles as directory
from feeds.models import User

router = Router(tags=["circles"])


@router.get("", auth=ANYBODY, response=PageOut[CircleOut])
def circles(request: OpenRequest, cursor: Optional = None) -> PageOut[CircleOut]:
    """All circles, the newest first."""
    return PageOut.of(directory.circles(viewer=request.auth, cursor=cursor), CircleOut.of)


@router.post("", response={201: CircleOut})
def create_circle(request: Request, circle: CircleIn) -> Status[CircleOut]:
    """Found a circle, and be its first member."""
    created = actions.create_circle(request.auth, **circle.model_dump())
    return Status(201, CircleOut.of(directory.circle(created.slug, viewer=request.auth)))


@router.get("/{slug}", auth=ANYBODY, response=CircleOut)
def circle(request: OpenRequest, slug: str) -> CircleOut:
    """A circle. Its posts: `GET /api/posts?circle=<slug>`."""
    return CircleOut.of(directory.circle(slug, viewer=request.auth))


@router.put("/{slug}/membership", response=MembershipOut)
def join(request: Request, slug: str) -> MembershipOut:
    """Belong to a circle; its posts come into one's feed."""
    actions.join(request.auth, slug=slug)
    return _membership(request.auth, slug)


@router.delete("/{slug}/membership", response=MembershipOut)
def leave(request: Request, slug: str) -> MembershipOut:
    """Belong to a circle no longer."""
    actions.leave(request.auth, slug=slug)
    return _membership(request.auth, slug)


def _membership(user: User, slug: str) -> MembershipOut:
    seen = directory.circle(slug, viewer=user)
    return MembershipOut(member=seen.is_member, member_count=seen.member_count)  # type: ignore[attr-defined]
