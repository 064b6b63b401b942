"""Comments: read a thread, write, edit, delete."""

from django.utils.translation import gettext as _
from ninja import Router, Status

from feeds import actions
from feeds.api.auth import USER_OR_VISITOR, OpenRequest, Request
from feeds.api.schemas.comments import CommentIn, CommentOut, CommentPatch
from feeds.api.schemas.shape import Cursor, PageOut, Reason, RowId
from feeds.errors import NotFoundError
from feeds.lists.posts import readable_posts
from feeds.lists.presentation import present_comments
from feeds.lists.threads import list_comments
from feeds.models import Comment, User

router = Router(tags=["comments"])


@router.get("/posts/{post_id}/comments", auth=USER_OR_VISITOR, response=PageOut[CommentOut])
def comments(request: OpenRequest, post_id: RowId, cursor: Cursor = None) -> PageOut[CommentOut]:
    """The thread in reading order: each level best first, replies below their parent."""
    post = readable_posts(request.auth).filter(pk=post_id).first()
    if post is None:
        raise NotFoundError(_("This post doesn't exist or has been deleted."))
    page = list_comments(post, viewer=request.auth, cursor=cursor)
    return PageOut.of(page, CommentOut.of)


@router.post("/posts/{post_id}/comments", response={201: CommentOut})
def create_comment(request: Request, post_id: RowId, comment: CommentIn) -> Status[CommentOut]:
    """Comment on a post, or reply to a comment."""
    created = actions.comment(request.auth, post_id=post_id, **comment.model_dump())
    return Status(201, _shown(created, request.auth))


@router.patch("/comments/{comment_id}", response=CommentOut)
def edit_comment(request: Request, comment_id: RowId, comment: CommentPatch) -> CommentOut:
    """Change your own comment."""
    return _shown(actions.edit_comment(request.auth, comment_id=comment_id, content=comment.content), request.auth)


@router.delete("/comments/{comment_id}", response={204: None})
def delete_comment(request: Request, comment_id: RowId, reason: Reason = "") -> Status[None]:
    """Delete your own comment: it is erased at once. Or remove one in a circle you own, staff any: it can be restored
    for 30 days."""
    actions.delete_comment(request.auth, comment_id=comment_id, reason=reason)
    return Status(204, None)


@router.post("/comments/{comment_id}/restore", response=CommentOut)
def restore_comment(request: Request, comment_id: RowId) -> CommentOut:
    """Restore a comment that a moderator removed, in a circle you own; staff any."""
    return _shown(actions.restore_comment(request.auth, comment_id=comment_id), request.auth)


def _shown(comment: Comment, viewer: User) -> CommentOut:
    return CommentOut.of(present_comments([comment], viewer=viewer)[0])
