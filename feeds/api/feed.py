"""Feed: what those one follows, and one's circles, published."""

from ninja import Router

from feeds.api.auth import Request
from feeds.api.schemas.posts import PostOut
from feeds.api.schemas.shape import Optional, PageOut
from feeds.lists import posts as timeline

router = Router(tags=["posts"])


@router.get("/feed", response=PageOut[PostOut])
def feed(request: Request, cursor: Optional = None) -> PageOut[PostOut]:
    """One's own feed, the newest first."""
    return PageOut.of(timeline.home(request.auth, cursor=cursor), PostOut.of)
