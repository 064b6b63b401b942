"""Blocks and mutes: keep a person away, or out of sight."""

from __future__ import annotations

from django.db.models import Q
from django.utils.translation import gettext as _

from feeds.actions.action import verb
from feeds.actions.lookups import anyone
from feeds.errors import InvalidError
from feeds.models import Block, Follow, Mute, User


@verb
def block(user: User, *, username: str) -> None:
    """Refuse a person's comments, votes and follows; neither follows the other any longer. Raises NotFoundError, InvalidError."""
    target = _other(user, username)
    Block.objects.get_or_create(user=user, target=target)
    Follow.objects.filter(Q(follower=user, followee=target) | Q(follower=target, followee=user)).delete()


@verb
def unblock(user: User, *, username: str) -> None:
    """Lift a block, if there is one. Raises NotFoundError."""
    Block.objects.filter(user=user, target=anyone(username)).delete()


@verb
def mute(user: User, *, username: str) -> None:
    """See nothing of a person, who is not told. Raises NotFoundError, InvalidError."""
    Mute.objects.get_or_create(user=user, target=_other(user, username))


@verb
def unmute(user: User, *, username: str) -> None:
    """Lift a mute, if there is one. Raises NotFoundError."""
    Mute.objects.filter(user=user, target=anyone(username)).delete()


def _other(user: User, username: str) -> User:
    target = anyone(username)
    if target == user:
        raise InvalidError("username", _("That is you."))
    return target
