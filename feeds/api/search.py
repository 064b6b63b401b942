"""Search: posts by their words."""

from ninja import Router

from feeds.api.auth import ANYBODY, OpenRequest
from feeds.api.schemas.posts import HitOut
from feeds.api.schemas.shape import Optional, PageOut
from feeds.search import search as find

router = Router(tags=["posts"])


@router.get("/search", auth=ANYBODY, response=PageOut[HitOut])
def search(request: OpenRequest, q: str = "", cursor: Optional = None) -> PageOut[HitOut]:
    """Posts that have all the words of `q`, best first; "quoted words" stand side by side, a -word must be missing."""
    return PageOut.of(find(q, viewer=request.auth, cursor=cursor), HitOut.of)
