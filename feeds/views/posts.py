"""Posts: read, write, edit, delete; list drafts."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from feeds import actions
from feeds.actions.lookups import kept_post, may_moderate, require_deleter
from feeds.errors import NotAllowedError, NotFoundError
from feeds.forms import PostForm, ReplyForm
from feeds.lists.posts import get_post, is_removed, list_drafts
from feeds.lists.threads import list_comments
from feeds.models import Circle, Post
from feeds.text.direction import isolated
from feeds.views.access import UserRequest, address_back, signed_in
from feeds.views.deeds import keeps
from feeds.views.once import once

PAGE_METHODS = require_http_methods(["GET", "HEAD", "POST"])


def post(request: HttpRequest, post_id: int, *, form: ReplyForm | None = None) -> HttpResponse:
    """`/posts/{id}`: a post and its comments. `?reply_to=` opens the form below a comment, `?comment=` its page."""
    shown = post_or_404(request, post_id)
    reply_to = _number(request.POST or request.GET, "parent_id" if form else "reply_to")
    focus = _number(request.GET, "comment") or reply_to
    page = list_comments(shown, viewer=request.user, cursor=request.GET.get("cursor"), focus=focus)
    if not any(comment.pk == reply_to and comment.shown for comment in page.items):  # type: ignore[attr-defined]
        reply_to = None
    form = form or ReplyForm()
    form.set_parent(reply_to)
    context = {
        "post": shown,
        "page": page,
        "form": form,
        "reply_to": reply_to,
        "may_moderate": request.user.is_authenticated and may_moderate(request.user, shown),
    }
    return render(request, "feeds/post.html", context, status=422 if form.errors else 200)


@PAGE_METHODS
@keeps(gettext_lazy("Your post is kept for an hour. Sign in, and it goes on."))
@signed_in
def new_post(request: UserRequest) -> HttpResponse:
    """`/posts/new`: write a post, preview it, publish it or save it as a draft."""
    circle = Circle.objects.with_slug(request.GET.get("circle", "")).first()
    form = PostForm(request.POST or None, user=request.user, circle=circle, initial={"circle": circle and circle.slug})
    if request.method == "POST" and "preview" not in request.POST:
        status = Post.Status.DRAFT if "draft" in request.POST else Post.Status.PUBLISHED
        if done := once(request, form, actions.create_post, address=_page_after, status=status):
            return _accepted(request, done.address, status=status, draft_key="post:new")
    return _form_page(request, form, draft_key="post:new")


@PAGE_METHODS
@keeps(gettext_lazy("Your changes are kept for an hour. Sign in, and they go on."))
@signed_in
def edit_post(request: UserRequest, post_id: int) -> HttpResponse:
    """`/posts/{id}/edit`: change the user's own post, or publish a draft."""
    written = post_or_404(request, post_id)
    if written.author_id != request.user.pk:
        raise NotAllowedError(_("Only the author can edit a post."))
    initial = {"title": written.title, "body": written.body, "circle": written.circle and written.circle.slug}
    form = PostForm(request.POST or None, user=request.user, circle=written.circle, initial=initial)
    key = f"post:{post_id}"
    if request.method == "POST" and "preview" not in request.POST:
        changes = {"status": Post.Status.PUBLISHED} if "publish" in request.POST else {}
        if saved := form.act(actions.edit_post, request.user, post_id=post_id, **changes):
            return _accepted(request, _page_after(saved), status=saved.status, draft_key=key)
    return _form_page(request, form, draft_key=key, post=written)


@PAGE_METHODS
@signed_in
def delete_post(request: UserRequest, post_id: int) -> HttpResponse:
    """`/posts/{id}/delete`: ask for confirmation, then delete one's own, or remove another's."""
    found = kept_post(post_id, by=request.user)
    if request.method == "POST":
        actions.delete_post(request.user, post_id=post_id)
        if found.author_id != request.user.pk:
            messages.success(request, _("Post removed. You can restore it for 30 days."))
            return redirect("feeds:restore_post", post_id)
        messages.success(request, _("Post deleted."))
        return redirect("feeds:home")
    require_deleter(request.user, found)
    question = _("Delete “%(title)s”?") % {"title": isolated(found.title)}
    return render(request, "feeds/confirm.html", {"question": question, "back": f"/posts/{post_id}"})


@PAGE_METHODS
@signed_in
def restore_post(request: UserRequest, post_id: int) -> HttpResponse:
    """`/posts/{id}/restore`: show a removed post to its moderator, and restore it."""
    if request.method == "POST":
        actions.restore_post(request.user, post_id=post_id)
        messages.success(request, _("Post restored."))
        return redirect("feeds:post", post_id)
    found = Post.objects.filter(pk=post_id).select_related("circle").first()
    if found is None or not found.is_restorable or not may_moderate(request.user, found):
        raise Http404
    context = {
        "question": _("Restore “%(title)s”?") % {"title": isolated(found.title)},
        "text": found,
        "verb": _("Restore"),
        "back": "/",
    }
    return render(request, "feeds/confirm.html", context)


@signed_in
def drafts(request: UserRequest) -> HttpResponse:
    """`/drafts`: the user's drafts."""
    page = list_drafts(request.user, cursor=request.GET.get("cursor"))
    return render(request, "feeds/drafts.html", {"page": page})


def post_or_404(request: HttpRequest, post_id: int) -> Post:
    """The post, as the user sees it. Raises Http404, and NotFoundError for one that a moderator removed."""
    try:
        return get_post(post_id, viewer=request.user)
    except Post.DoesNotExist:
        if is_removed(post_id):
            raise NotFoundError(_("This post was removed by a moderator.")) from None
        raise Http404 from None


def _page_after(written: Post) -> str:
    published = written.status == Post.Status.PUBLISHED
    return reverse("feeds:post", args=[written.pk]) if published else reverse("feeds:drafts")


def _accepted(request: UserRequest, address: str, *, status: str, draft_key: str) -> HttpResponse:
    message = _("Your post is published.") if status == Post.Status.PUBLISHED else _("Draft saved.")
    messages.success(request, message, extra_tags=draft_key)
    return HttpResponseRedirect(address)


def _form_page(request: UserRequest, form: PostForm, *, draft_key: str, post: Post | None = None) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "post": post, "draft_key": draft_key, "back": address_back(request)}
    if "preview" in request.POST and form.is_valid():
        context["preview"] = form.cleaned_data
    failed = request.method == "POST" and bool(form.errors)
    return render(request, "feeds/post_form.html", context, status=422 if failed else 200)


def _number(values: QueryDict, name: str) -> int | None:
    value = values.get(name, "")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else None
