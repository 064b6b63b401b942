"""Circles: list them, show one, create one, join and leave."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from feeds import actions
from feeds.forms import CircleForm
from feeds.lists.circles import get_circle, list_circles
from feeds.views.access import UserRequest, go_back, signed_in
from feeds.views.lists import Listing
from feeds.views.posts import PAGE_METHODS


def circles(request: HttpRequest) -> HttpResponse:
    """`/circles`: all circles, newest first."""
    page = list_circles(viewer=request.user, cursor=request.GET.get("cursor"))
    return render(request, "feeds/circles.html", {"page": page})


def circle(request: HttpRequest, slug: str) -> HttpResponse:
    """`/circles/{slug}`: its posts, by default newest first."""
    shown = get_circle(slug, viewer=request.user)
    context = Listing(request, "new", circle=shown).context()
    return render(request, "feeds/circle.html", context | {"circle": shown})


@PAGE_METHODS
@signed_in
def new_circle(request: UserRequest) -> HttpResponse:
    """`/circles/new`: create a circle."""
    form = CircleForm(request.POST or None)
    if request.method == "POST" and (founded := form.act(actions.create_circle, request.user)):
        messages.success(request, _("Circle created."), extra_tags="circle:new")
        return redirect("feeds:circle", founded.slug)
    return render(request, "feeds/circle_form.html", {"form": form}, status=422 if form.errors else 200)


@require_POST
@signed_in
def membership(request: UserRequest, slug: str) -> HttpResponse:
    """`/circles/{slug}/membership`: `verb` is join or leave."""
    act = actions.leave if request.POST.get("verb") == "leave" else actions.join
    act(request.user, slug=slug)
    return go_back(request, reverse("feeds:circle", args=[slug]))
