"""Follows: follow, unfollow, set the bell."""

from __future__ import annotations

from django.utils.translation import gettext as _

from feeds.actions.action import action
from feeds.actions.lookups import active_user, any_user
from feeds.actions.standing import refuse_blocked
from feeds.errors import InvalidError, NotFoundError
from feeds.models import Follow, User


@action
def follow(user: User, *, username: str, bell: bool | None = None) -> Follow:
    """Follow a person. bell: whether each new post is a notice; None keeps it, and is the default rule in a new follow.

    Raises NotFoundError, NotAllowedError, InvalidError.
    """
    followee = active_user(username)
    if followee == user:
        raise InvalidError("username", _("You can't follow yourself."))
    refuse_blocked(user, followee.pk)
    found, created = Follow.objects.get_or_create(follower=user, followee=followee, defaults={"bell": bell})
    if not created and bell is not None and found.bell is not bell:
        _save_bell(found, bell)
    return found


@action
def unfollow(user: User, *, username: str) -> None:
    """End the follow, if there is one. Raises NotFoundError."""
    Follow.objects.filter(follower=user, followee=any_user(username)).delete()


@action
def set_bell(user: User, *, username: str, bell: bool | None) -> Follow:
    """Set whether each new post of a followed person is a notice; None is the default rule. Raises NotFoundError."""
    found = Follow.objects.filter(follower=user, followee=any_user(username)).first()
    if found is None:
        raise NotFoundError(_("You don't follow this person."))
    _save_bell(found, bell)
    return found


def _save_bell(follow: Follow, bell: bool | None) -> None:
    follow.bell = bell
    follow.save(update_fields=["bell"])
