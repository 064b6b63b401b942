"""Feed: the posts of followed people and joined circles."""

from ninja import Router

from feeds.api.auth import Request
from feeds.api.schemas.posts import PostOut
from feeds.api.schemas.shape import Cursor, PageOut
from feeds.lists.home import list_home_feed

router = Router(tags=["posts"])


@router.get("/feed", response=PageOut[PostOut])
def feed(request: Request, cursor: Cursor = None) -> PageOut[PostOut]:
    """Your feed, newest first."""
    return PageOut.of(list_home_feed(request.auth, cursor=cursor), PostOut.of)
