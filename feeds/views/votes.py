"""Votes: vote on posts and comments."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_POST

from feeds import actions
from feeds.views.access import UserRequest, go_back, signed_in


@require_POST
@signed_in
def vote(request: UserRequest, entity_type: str, entity_id: int) -> HttpResponse:
    """`/posts/{id}/vote`, `/comments/{id}/vote`: `vote_type` is up, down or none."""
    vote_type = request.POST.get("vote_type", "")
    if vote_type == "none":
        actions.retract_vote(request.user, entity_type=entity_type, entity_id=entity_id)
    else:
        actions.vote(request.user, entity_type=entity_type, entity_id=entity_id, vote_type=vote_type)
    return go_back(request, f"/{entity_type}s/{entity_id}")
