"""Votes: vote, change a vote, remove it."""

from __future__ import annotations

from django.utils.translation import gettext as _

from feeds.actions.action import action
from feeds.actions.lookups import visible_entity
from feeds.actions.standing import refuse_blocked
from feeds.errors import InvalidError
from feeds.models import User, Vote


@action
def vote(user: User, *, entity_type: str, entity_id: int, vote_type: str) -> Vote:
    """Vote "up" or "down" on a "post" or "comment". The same vote again changes nothing.

    Raises NotFoundError, NotAllowedError, InvalidError.
    """
    if vote_type not in Vote.Type.values:
        raise InvalidError("vote_type", _("A vote must be “up” or “down”."))
    refuse_blocked(user, visible_entity(entity_type, entity_id).author_id)
    # Of two first votes at once, one inserts. The other waits at the unique key, then finds the row and locks it.
    mine, created = Vote.objects.select_for_update(no_key=True).get_or_create(
        user=user, entity_type=entity_type, entity_id=entity_id, defaults={"vote_type": vote_type}
    )
    if not created and mine.vote_type != vote_type:
        mine.vote_type = vote_type
        mine.save(update_fields=["vote_type", "updated_at"])
    return mine


@action
def retract_vote(user: User, *, entity_type: str, entity_id: int) -> None:
    """Remove a vote, if there is one. Raises NotFoundError, InvalidError."""
    visible_entity(entity_type, entity_id)
    Vote.objects.on(entity_type, entity_id).filter(user=user).delete()
