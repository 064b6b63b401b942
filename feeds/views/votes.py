"""Votes: vote on posts and comments."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from feeds import actions
from feeds.views.access import UserRequest, go_back, signed_in
from feeds.views.deeds import keeps, say_carried_on


@require_POST
@keeps(gettext_lazy("Your vote is kept for an hour. Sign in, and it goes on."))
@signed_in
def vote(request: UserRequest, entity_type: str, entity_id: int) -> HttpResponse:
    """`/posts/{id}/vote`, `/comments/{id}/vote`: `vote_type` is up, down or none."""
    vote_type = request.POST.get("vote_type", "")
    if vote_type == "none":
        actions.retract_vote(request.user, entity_type=entity_type, entity_id=entity_id)
    else:
        actions.vote(request.user, entity_type=entity_type, entity_id=entity_id, vote_type=vote_type)
    say_carried_on(request, _("Your vote is saved."))
    return go_back(request, f"/{entity_type}s/{entity_id}")
