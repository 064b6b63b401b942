"""Comments: write, edit, delete."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from feeds import actions
from feeds.actions.lookups import require_deleter, visible_comment
from feeds.errors import NotAllowedError
from feeds.forms import CommentForm, ReplyForm
from feeds.lists.neighbours import place_without
from feeds.models import Comment
from feeds.views import posts
from feeds.views.access import UserRequest, signed_in
from feeds.views.deeds import keeps
from feeds.views.once import once
from feeds.views.posts import PAGE_METHODS


@PAGE_METHODS
@keeps(gettext_lazy("Your comment is kept for an hour. Sign in, and it goes on."))
@signed_in
def comments(request: UserRequest, post_id: int) -> HttpResponse:
    """`/posts/{id}/comments`: comment on the post or reply to a comment on it."""
    if request.method != "POST":
        # The links of a form that was shown with its errors, such as "Reply", lead here.
        return HttpResponseRedirect(f"{reverse('feeds:post', args=[post_id])}?{request.GET.urlencode()}")
    form = ReplyForm(request.POST)
    done = once(request, form, actions.comment, address=_address_of, post_id=post_id)
    if done is None:
        return posts.post(request, post_id, form=form)
    draft_key = f"comment:{post_id}:{form.cleaned_data['parent_id'] or ''}"
    _accepted(request, _("Comment posted."), draft_key=draft_key)
    return HttpResponseRedirect(done.address)


def comment(request: HttpRequest, comment_id: int) -> HttpResponse:
    """`/comments/{id}`: redirect to the comment in its thread."""
    return HttpResponseRedirect(_address_of(visible_comment(comment_id, by=request.user)))


@PAGE_METHODS
@keeps(gettext_lazy("Your changes are kept for an hour. Sign in, and they go on."))
@signed_in
def edit_comment(request: UserRequest, comment_id: int) -> HttpResponse:
    """`/comments/{id}/edit`: change the user's own comment."""
    written = visible_comment(comment_id, by=request.user)
    if written.author_id != request.user.pk:
        raise NotAllowedError(_("Only the author can edit a comment."))
    form = CommentForm(request.POST or None, initial={"content": written.content})
    key = f"comment:edit:{comment_id}"
    if request.method == "POST" and (saved := form.act(actions.edit_comment, request.user, comment_id=comment_id)):
        _accepted(request, _("Comment updated."), draft_key=key)
        return HttpResponseRedirect(_address_of(saved))
    context = {"form": form, "comment": written, "draft_key": key}
    return render(request, "feeds/comment_form.html", context, status=422 if form.errors else 200)


@PAGE_METHODS
@signed_in
def delete_comment(request: UserRequest, comment_id: int) -> HttpResponse:
    """`/comments/{id}/delete`: ask for confirmation, then delete."""
    found = visible_comment(comment_id, by=request.user)
    if request.method == "POST":
        place = place_without(found, viewer=request.user)
        actions.delete_comment(request.user, comment_id=comment_id)
        is_own = found.author_id == request.user.pk
        messages.success(
            request, _("Comment deleted.") if is_own else _("Comment removed. You can restore it for 30 days.")
        )
        return HttpResponseRedirect(_address_in(found.post_id, place))
    require_deleter(request.user, found)
    context = {"question": _("Delete this comment?"), "text": found, "back": f"/comments/{comment_id}"}
    return render(request, "feeds/confirm.html", context)


@require_POST
@signed_in
def restore_comment(request: UserRequest, comment_id: int) -> HttpResponse:
    """`/comments/{id}/restore`: show a removed comment again."""
    restored = actions.restore_comment(request.user, comment_id=comment_id)
    messages.success(request, _("Comment restored."))
    return HttpResponseRedirect(_address_of(restored))


def _address_of(comment: Comment) -> str:
    return _address_in(comment.post_id, comment.pk)


def _address_in(post_id: int, comment_id: int | None) -> str:
    return f"/posts/{post_id}?comment={comment_id}#comment-{comment_id}" if comment_id else f"/posts/{post_id}#comments"


def _accepted(request: UserRequest, message: str, *, draft_key: str) -> None:
    messages.success(request, message, extra_tags=draft_key)
