"""Circles: list them, show one, create one, join and leave."""

from __future__ import annotations

from urllib.parse import unquote

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from feeds import actions
from feeds.forms import CircleForm
from feeds.lists.circles import get_circle, list_circles
from feeds.models import Circle
from feeds.views.access import UserRequest, go_back, signed_in
from feeds.views.deeds import keeps, say_carried_on
from feeds.views.lists import Listing
from feeds.views.once import once
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
@keeps(gettext_lazy("Your circle is kept for an hour. Sign in, and it goes on."))
@signed_in
def new_circle(request: UserRequest) -> HttpResponse:
    """`/circles/new`: create a circle."""
    form = CircleForm(request.POST or None)
    if request.method == "POST" and (done := once(request, form, actions.create_circle, address=_address_of)):
        messages.success(request, _("Circle created."), extra_tags="circle:new")
        return HttpResponseRedirect(done.address)
    return render(request, "feeds/circle_form.html", {"form": form}, status=422 if form.errors else 200)


@require_POST
@keeps(gettext_lazy("Your choice is kept for an hour. Sign in, and it goes on."))
@signed_in
def membership(request: UserRequest, slug: str) -> HttpResponse:
    """`/circles/{slug}/membership`: `verb` is join or leave."""
    if request.POST.get("verb") == "leave":
        actions.leave(request.user, slug=slug)
        say_carried_on(request, _("You have left the circle."))
    else:
        actions.join(request.user, slug=slug)
        say_carried_on(request, _("You have joined the circle."))
    return go_back(request, reverse("feeds:circle", args=[slug]))


def _address_of(circle: Circle) -> str:
    """As people read it: percent-encoded it would be nine times as long."""
    return unquote(reverse("feeds:circle", args=[circle.slug]))
