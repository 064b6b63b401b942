"""Comments: read a thread, answer, edit, delete."""

from django.utils.translation import gettext as _
from ninja import Router, Status

from feeds import actions
from feeds.api.auth import ANYBODY, OpenRequest, Request
from feeds.api.schemas.comments import CommentIn, CommentOut, CommentPatch
from feeds.api.schemas.shape import Optional, PageOut
from feeds.errors import NotFoundError
from feeds.lists import posts as timeline
from feeds.lists import threads
from feeds.lists.presentation import present_comments
from feeds.models import Comment, User

router = Router(tags=["comments"])


@router.get("/posts/{post_id}/comments", auth=ANYBODY, response=PageOut[CommentOut])
def comments(request: OpenRequest, post_id: int, cursor: Optional = None) -> PageOut[CommentOut]:
    """The thread in reading order: each level best first, answers beneath what they answer."""
    post = timeline.readable(request.auth).filter(pk=post_id).first()
    if post is None:
        raise NotFoundError(_("There is no such post."))
    page = threads.comments(post, viewer=request.auth, cursor=cursor)
    return PageOut.of(page, CommentOut.of)


@router.post("/posts/{post_id}/comments", response={201: CommentOut})
def create_comment(request: Request, post_id: int, comment: CommentIn) -> Status[CommentOut]:
    """Answer a post or a comment."""
    created = actions.comment(request.auth, post_id=post_id, **comment.model_dump())
    return Status(201, _shown(created, request.auth))


@router.patch("/comments/{comment_id}", response=CommentOut)
def edit_comment(request: Request, comment_id: int, comment: CommentPatch) -> CommentOut:
    """Change one's own comment."""
    return _shown(actions.edit_comment(request.auth, comment_id=comment_id, content=comment.content), request.auth)


@router.delete("/comments/{comment_id}", response={204: None})
def delete_comment(request: Request, comment_id: int) -> Status[None]:
    """Take a comment away: one's own, one in a circle of one's own, and staff any."""
    actions.delete_comment(request.auth, comment_id=comment_id)
    return Status(204, None)


def _shown(comment: Comment, viewer: User) -> CommentOut:
    return CommentOut.of(present_comments([comment], viewer=viewer)[0])
