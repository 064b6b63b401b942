"""Search: posts by their words."""

from typing import Annotated

from ninja import Router
from pydantic import Field

from feeds.actions.lookups import any_user, circle_with_slug
from feeds.api.auth import USER_OR_VISITOR, OpenRequest
from feeds.api.schemas.posts import HitOut
from feeds.api.schemas.shape import AuthorFilter, CircleFilter, Cursor, PageOut
from feeds.search.query import MAX_QUERY_LENGTH
from feeds.search.search import search_posts

router = Router(tags=["posts"])


@router.get("/search", auth=USER_OR_VISITOR, response=PageOut[HitOut])
def search(
    request: OpenRequest,
    q: Annotated[str, Field(max_length=MAX_QUERY_LENGTH, examples=["cats -dogs"])] = "",
    circle: CircleFilter = None,
    author: AuthorFilter = None,
    cursor: Cursor = None,
) -> PageOut[HitOut]:
    """Posts with all the words of `q`, best first. "Quoted words" must be adjacent; a -word must be missing.

    `circle` and `author` restrict the search.
    """
    page = search_posts(
        q,
        circle=circle_with_slug(circle) if circle else None,
        author=any_user(author) if author else None,
        viewer=request.auth,
        cursor=cursor,
    )
    return PageOut.of(page, HitOut.of)
