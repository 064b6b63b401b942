"""Blocks and mutes: refuse a person, or hide a person."""

from __future__ import annotations

from django.db.models import Q
from django.utils.translation import gettext as _

from feeds.actions.action import action
from feeds.actions.lookups import any_user
from feeds.actions.standing import hold_alone
from feeds.errors import InvalidError
from feeds.models import Block, Follow, Mute, User


@action
def block(user: User, *, username: str) -> None:
    """Refuse a person's comments, votes and follows, and end the follows between the two. Neither sees the other from
    now on, and the notices about each other are withdrawn for good.

    Raises NotFoundError, and InvalidError for oneself.
    """
    target = _other(user, username)
    hold_alone(user, target)
    Block.objects.get_or_create(user=user, target=target)
    Follow.objects.filter(Q(follower=user, followee=target) | Q(follower=target, followee=user)).delete()


@action
def unblock(user: User, *, username: str) -> None:
    """Remove a block, if there is one. Raises NotFoundError."""
    Block.objects.filter(user=user, target=any_user(username)).delete()


@action
def mute(user: User, *, username: str) -> None:
    """Hide a person's posts and comments from the user, and withdraw the notices about the person for good.

    Raises NotFoundError, and InvalidError for oneself.
    """
    Mute.objects.get_or_create(user=user, target=_other(user, username))


@action
def unmute(user: User, *, username: str) -> None:
    """Remove a mute, if there is one. Raises NotFoundError."""
    Mute.objects.filter(user=user, target=any_user(username)).delete()


def _other(user: User, username: str) -> User:
    target = any_user(username)
    if target == user:
        raise InvalidError("username", _("You can't do that to yourself."))
    return target
