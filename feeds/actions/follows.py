"""Follows: follow, unfollow, set the bell."""

from __future__ import annotations

from django.utils.translation import gettext as _

from feeds.actions.action import verb
from feeds.actions.lookups import anyone, person, refuse_blocked
from feeds.errors import InvalidError, NotFoundError
from feeds.models import Follow, User


@verb
def follow(user: User, *, username: str, bell: bool | None = None) -> Follow:
    """Follow a person; `bell` says whether each new post is a notice (None: as it is, at first the default).

    Raises NotFoundError, NotAllowedError, InvalidError.
    """
    followee = person(username)
    if followee == user:
        raise InvalidError("username", _("You cannot follow yourself."))
    refuse_blocked(user, followee.pk)
    tie, created = Follow.objects.get_or_create(follower=user, followee=followee, defaults={"bell": bell})
    if not created and bell is not None and tie.bell is not bell:
        _ring(tie, bell)
    return tie


@verb
def unfollow(user: User, *, username: str) -> None:
    """Follow a person no longer; fine if one never did. Raises NotFoundError."""
    Follow.objects.filter(follower=user, followee=anyone(username)).delete()


@verb
def set_bell(user: User, *, username: str, bell: bool | None) -> Follow:
    """Say whether each new post of someone one follows is a notice; None is the default rule. Raises NotFoundError."""
    tie = Follow.objects.filter(follower=user, followee=anyone(username)).first()
    if tie is None:
        raise NotFoundError(_("You do not follow this person."))
    _ring(tie, bell)
    return tie


def _ring(tie: Follow, bell: bool | None) -> None:
    tie.bell = bell
    tie.save(update_fields=["bell"])
