"""Receivers: the end of a session, a new password and a ban close a user's open sockets."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from feeds.models import User, UserSession
from notifications.push import hints


@receiver(post_delete, sender=UserSession)
def close_sockets_of_session(sender: Any, instance: UserSession, **kwargs: Any) -> None:
    """A session was signed out, here or from another session."""
    transaction.on_commit(partial(hints.close_session, instance.session_key, user_id=instance.user_id), robust=True)


@receiver(user_logged_out)
def close_sockets_of_unlisted_session(
    sender: Any, request: HttpRequest | None, user: User | None, **kwargs: Any
) -> None:
    """A session was signed out that is not in the list, since it was last used before there was one."""
    session = getattr(request, "session", None)
    if session is not None and session.session_key and user is not None:
        transaction.on_commit(partial(hints.close_session, session.session_key, user_id=user.pk), robust=True)


@receiver(post_save, sender=User)
def close_sockets_of_banned(sender: Any, instance: User, **kwargs: Any) -> None:
    """A user was saved with `is_active` off."""
    if not instance.is_active:
        transaction.on_commit(partial(hints.close_user, instance.pk), robust=True)


@receiver(post_save, sender=User)
def recheck_sockets_after_new_password(sender: Any, instance: User, **kwargs: Any) -> None:
    """A password was changed: all sessions ended, except the one in which it was changed, if there is one."""
    before = instance.previous
    if before is not None and before.password != instance.password and instance.is_active:
        recheck = partial(hints.recheck_user, instance.pk, renewed=instance.renewed_session)
        transaction.on_commit(recheck, robust=True)
