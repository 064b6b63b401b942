"""People: the page of a person; follow, block and mute a person."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from feeds import actions
from feeds.errors import InvalidError, NotFoundError
from feeds.lists.profiles import get_profile
from feeds.models import User
from feeds.text.direction import isolated
from feeds.views.access import UserRequest, go_back, signed_in
from feeds.views.deeds import keeps, say_carried_on
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
    """`/users/{username}`: a person's posts, by default newest first.

    A name with text behind it, as a mention may have it, leads to the person meant.
    """
    try:
        shown = get_profile(username, viewer=request.user)
    except NotFoundError:
        meant = [user for user in User.objects.meant(username) if user.is_active]
        if not meant:
            raise
        return redirect("feeds:person", meant[0].username)
    context = Listing(request, "new", author=shown).context()
    return render(request, "feeds/person.html", context | {"person": shown})


@require_POST
@keeps(gettext_lazy("Your choice is kept for an hour. Sign in, and it goes on."))
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
    else:
        followed = request.POST["verb"] == "follow"
        done = _("You follow %(name)s now.") % {"name": isolated(username)} if followed else _("Your choice is saved.")
        say_carried_on(request, done)
    return go_back(request, reverse("feeds:person", args=[username]))
