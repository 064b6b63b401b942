"""Search: posts by their words."""

from ninja import Router

from feeds.actions.lookups import anyone, circle_at
from feeds.api.auth import ANYBODY, OpenRequest
from feeds.api.schemas.posts import HitOut
from feeds.api.schemas.shape import Optional, PageOut
from feeds.search.search import search as find

router = Router(tags=["posts"])


@router.get("/search", auth=ANYBODY, response=PageOut[HitOut])
def search(
    request: OpenRequest, q: str = "", circle: Optional = None, author: Optional = None, cursor: Optional = None
) -> PageOut[HitOut]:
    """Posts that have all the words of `q`, best first; "quoted words" stand side by side, a -word must be missing.

    Only those in a circle or of an author, where given.
    """
    page = find(
        q,
        circle=circle_at(circle) if circle else None,
        author=anyone(author) if author else None,
        viewer=request.auth,
        cursor=cursor,
    )
    return PageOut.of(page, HitOut.of)
