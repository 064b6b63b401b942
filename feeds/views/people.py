"""People: the page of a person; follow, block and mute a person."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST

from feeds import actions
from feeds.errors import InvalidError
from feeds.lists.profiles import get_profile
from feeds.views.access import UserRequest, go_back, signed_in
from feeds.views.lists import Listing

#: The actions of the buttons on the page of a person.
TIES: dict[str, Any] = {
    "follow": lambda user, **who: actions.follow(user, **who),
    "unfollow": actions.unfollow,
    "ring": lambda user, **who: actions.set_bell(user, bell=True, **who),
    "silence": lambda user, **who: actions.set_bell(user, bell=False, **who),
    "block": actions.block,
    "unblock": actions.unblock,
    "mute": actions.mute,
    "unmute": actions.unmute,
}


def person(request: HttpRequest, username: str) -> HttpResponse:
    """`/users/{username}`: a person's posts, by default newest first."""
    shown = get_profile(username, viewer=request.user)
    context = Listing(request, "new", author=shown).context()
    return render(request, "feeds/person.html", context | {"person": shown})


@require_POST
@signed_in
def tie(request: UserRequest, username: str) -> HttpResponse:
    """`/users/{username}/ties`: `verb` is a key of TIES."""
    verb = TIES.get(request.POST.get("verb", ""))
    if verb is None:
        raise Http404
    try:
        verb(request.user, username=username)
    except InvalidError as refusal:
        messages.error(request, refusal.message)
    return go_back(request, reverse("feeds:person", args=[username]))
