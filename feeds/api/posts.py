"""Posts: list, read, write."""

from django.utils.translation import gettext as _
from ninja import Router, Status
from ninja.errors import AuthenticationError

from feeds import actions
from feeds.actions.lookups import anyone, circle_at
from feeds.api.auth import ANYBODY, OpenRequest, Request
from feeds.api.schemas.posts import PostIn, PostOut, PostPatch
from feeds.api.schemas.posts import Status as PostStatus
from feeds.api.schemas.shape import Optional, PageOut
from feeds.errors import NotFoundError
from feeds.lists import posts as timeline
from feeds.lists.visibility import Viewer, signed_in
from feeds.models import Post, User

router = Router(tags=["posts"])


@router.get("", auth=ANYBODY, response=PageOut[PostOut])
def posts(
    request: OpenRequest,
    sort: timeline.Sort = "hot",
    period: timeline.Period = "all",
    circle: Optional = None,
    author: Optional = None,
    status: PostStatus = "published",
    cursor: Optional = None,
) -> PageOut[PostOut]:
    """What everyone published, best first by `sort`; or with `status=draft` one's own drafts, the latest first."""
    viewer = request.auth
    if status == "draft":
        page = timeline.drafts(_known(viewer), cursor=cursor)
    else:
        page = timeline.posts(
            sort,
            period=period,
            circle=circle_at(circle) if circle else None,
            author=anyone(author) if author else None,
            viewer=viewer,
            cursor=cursor,
        )
    return PageOut.of(page, PostOut.of)


@router.post("", response={201: PostOut})
def create_post(request: Request, post: PostIn) -> Status[PostOut]:
    """Publish a post, or keep it as a draft."""
    created = actions.create_post(request.auth, **post.model_dump())
    return Status(201, _shown(created.pk, request.auth))


@router.get("/{post_id}", auth=ANYBODY, response=PostOut)
def read_post(request: OpenRequest, post_id: int) -> PostOut:
    """A post; a draft only for its author."""
    return _shown(post_id, request.auth)


@router.patch("/{post_id}", response=PostOut)
def edit_post(request: Request, post_id: int, post: PostPatch) -> PostOut:
    """Change one's own post; `status: published` publishes a draft."""
    actions.edit_post(request.auth, post_id=post_id, **post.model_dump(exclude_unset=True))
    return _shown(post_id, request.auth)


@router.delete("/{post_id}", response={204: None})
def delete_post(request: Request, post_id: int) -> Status[None]:
    """Take a post away: one's own, one in a circle of one's own, and staff any."""
    actions.delete_post(request.auth, post_id=post_id)
    return Status(204, None)


def _shown(post_id: int, viewer: Viewer) -> PostOut:
    try:
        return PostOut.of(timeline.post(post_id, viewer=viewer))
    except Post.DoesNotExist:
        raise NotFoundError(_("There is no such post.")) from None


def _known(viewer: Viewer) -> User:
    user = signed_in(viewer)
    if user is None:
        raise AuthenticationError(message=_("Sign in to see your drafts."))
    return user
