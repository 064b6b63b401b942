"""Comments: write, edit, delete."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from feeds import actions
from feeds.actions.lookups import visible_comment
from feeds.errors import NotAllowedError
from feeds.forms import CommentForm, ReplyForm
from feeds.models import Comment
from feeds.views import posts
from feeds.views.access import UserRequest, signed_in
from feeds.views.posts import PAGE_METHODS


@PAGE_METHODS
@signed_in
def comments(request: UserRequest, post_id: int) -> HttpResponse:
    """`/posts/{id}/comments`: comment on the post or reply to a comment on it."""
    if request.method != "POST":
        return redirect("feeds:post", post_id)
    form = ReplyForm(request.POST)
    written = form.act(actions.comment, request.user, post_id=post_id)
    if written is None:
        return posts.post(request, post_id, form=form)
    _accepted(request, _("Comment posted."), draft_key=f"comment:{post_id}:{written.parent_id or ''}")
    return _redirect_to(written)


def comment(request: UserRequest, comment_id: int) -> HttpResponse:
    """`/comments/{id}`: redirect to the comment in its thread."""
    return _redirect_to(visible_comment(comment_id))


@PAGE_METHODS
@signed_in
def edit_comment(request: UserRequest, comment_id: int) -> HttpResponse:
    """`/comments/{id}/edit`: change the user's own comment."""
    written = visible_comment(comment_id)
    if written.author_id != request.user.pk:
        raise NotAllowedError(_("Only the author can edit a comment."))
    form = CommentForm(request.POST or None, initial={"content": written.content})
    key = f"comment:edit:{comment_id}"
    if request.method == "POST" and (saved := form.act(actions.edit_comment, request.user, comment_id=comment_id)):
        _accepted(request, _("Comment updated."), draft_key=key)
        return _redirect_to(saved)
    context = {"form": form, "comment": written, "draft_key": key}
    return render(request, "feeds/comment_form.html", context, status=422 if form.errors else 200)


@PAGE_METHODS
@signed_in
def delete_comment(request: UserRequest, comment_id: int) -> HttpResponse:
    """`/comments/{id}/delete`: ask for confirmation, then delete."""
    found = visible_comment(comment_id)
    if request.method == "POST":
        actions.delete_comment(request.user, comment_id=comment_id)
        messages.success(request, _("Comment deleted."))
        return redirect("feeds:post", found.post_id)
    context = {"question": _("Delete this comment?"), "text": found.content, "back": f"/comments/{comment_id}"}
    return render(request, "feeds/confirm.html", context)


def _redirect_to(comment: Comment) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"/posts/{comment.post_id}?comment={comment.pk}#comment-{comment.pk}")


def _accepted(request: UserRequest, message: str, *, draft_key: str) -> None:
    messages.success(request, message, extra_tags=draft_key)
