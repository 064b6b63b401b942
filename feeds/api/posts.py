"""Posts: list, read, write."""

from django.utils.translation import gettext as _
from ninja import Router, Status
from ninja.errors import AuthenticationError

from feeds import actions
from feeds.actions.lookups import any_user, circle_with_slug
from feeds.api.auth import USER_OR_VISITOR, OpenRequest, Request
from feeds.api.schemas.posts import PostIn, PostOut, PostPatch
from feeds.api.schemas.posts import Status as PostStatus
from feeds.api.schemas.shape import AuthorFilter, CircleFilter, Cursor, PageOut, Reason, RowId
from feeds.errors import NotFoundError
from feeds.lists.posts import get_post, is_removed, list_drafts, list_posts
from feeds.lists.ranked import Period, Sort
from feeds.lists.visibility import Viewer, user_or_none
from feeds.models import Post, User

router = Router(tags=["posts"])


@router.get("", auth=USER_OR_VISITOR, response=PageOut[PostOut])
def posts(
    request: OpenRequest,
    sort: Sort = "hot",
    period: Period = "all",
    circle: CircleFilter = None,
    author: AuthorFilter = None,
    status: PostStatus = "published",
    cursor: Cursor = None,
) -> PageOut[PostOut]:
    """The posts of everyone, best first by `sort`; with `status=draft` your own drafts, the last changed first."""
    viewer = request.auth
    if status == "draft":
        page = list_drafts(_required_user(viewer), cursor=cursor)
    else:
        page = list_posts(
            sort,
            period=period,
            circle=circle_with_slug(circle) if circle else None,
            author=any_user(author) if author else None,
            viewer=viewer,
            cursor=cursor,
        )
    return PageOut.of(page, PostOut.of)


@router.post("", response={201: PostOut})
def create_post(request: Request, post: PostIn) -> Status[PostOut]:
    """Publish a post, or save it as a draft."""
    created = actions.create_post(request.auth, **post.model_dump())
    return Status(201, _shown(created.pk, request.auth))


@router.get("/{post_id}", auth=USER_OR_VISITOR, response=PostOut)
def read_post(request: OpenRequest, post_id: RowId) -> PostOut:
    """A post; a draft only for its author."""
    return _shown(post_id, request.auth)


@router.patch("/{post_id}", response=PostOut)
def edit_post(request: Request, post_id: RowId, post: PostPatch) -> PostOut:
    """Change your own post; `status: published` publishes a draft."""
    actions.edit_post(request.auth, post_id=post_id, **post.model_dump(exclude_unset=True))
    return _shown(post_id, request.auth)


@router.delete("/{post_id}", response={204: None})
def delete_post(request: Request, post_id: RowId, reason: Reason = "") -> Status[None]:
    """Delete your own post: it is erased at once. Or remove one in a circle you own, staff any: it can be restored for
    30 days."""
    actions.delete_post(request.auth, post_id=post_id, reason=reason)
    return Status(204, None)


@router.post("/{post_id}/restore", response=PostOut)
def restore_post(request: Request, post_id: RowId) -> PostOut:
    """Restore a post that a moderator removed, in a circle you own; staff any."""
    actions.restore_post(request.auth, post_id=post_id)
    return _shown(post_id, request.auth)


def _shown(post_id: int, viewer: Viewer) -> PostOut:
    try:
        return PostOut.of(get_post(post_id, viewer=viewer))
    except Post.DoesNotExist:
        if is_removed(post_id):
            raise NotFoundError(_("This post was removed by a moderator.")) from None
        raise NotFoundError(_("This post doesn't exist or has been deleted.")) from None


def _required_user(viewer: Viewer) -> User:
    user = user_or_none(viewer)
    if user is None:
        raise AuthenticationError(message=_("Sign in to see your drafts."))
    return user
