"""Emails: confirm that an address is the user's."""

from __future__ import annotations

from contextlib import suppress

from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from events.bus import emit
from events.db import committed
from feeds import limits
from feeds.actions.action import action
from feeds.errors import NotFoundError, TooOftenError
from feeds.events import EmailConfirmationRequested
from feeds.mail.tokens import is_token_of_email
from feeds.models import User


def owe_confirmation(user: User, *, site: str, replaces: bool) -> None:
    """Emit what leads to the letter with the link, in the transaction of the change. Not above the limit of letters: a
    user may then ask for it later. site: as https://airy.example. replaces: another address was confirmed before.
    """
    with suppress(TooOftenError):
        _owe(user, site=site, replaces=replaces)


@action
def request_confirmation(user: User, *, site: str) -> bool:
    """Send the link that confirms the user's address once more. Returns False if there is nothing to confirm.

    Raises TooOftenError.
    """
    return _owe(user, site=site, replaces=False)


def _owe(user: User, *, site: str, replaces: bool) -> bool:
    if not (site or settings.SITE_URL) or not user.email or user.email_confirmed:
        return False
    # Not together with links to a new password: from their limit nobody must learn that somebody has this address.
    for client in (f"user/{user.pk}", f"confirmation/{limits.mailbox(user.email)}"):
        limits.spend(limits.LETTERS, client)
    emit(
        EmailConfirmationRequested(
            user_id=user.pk, replaces=replaces, site=site, language=get_language() or settings.LANGUAGE_CODE
        )
    )
    return True


def user_of_email_token(*, user_id: int, token: str) -> User:
    """The user whose address the link of a letter confirms. Raises NotFoundError."""
    user: User | None = User.objects.active().filter(pk=user_id).first()
    if user is None or not is_token_of_email(user, token):
        raise NotFoundError(_("This link has expired or was used already. Get a new one in your settings."))
    return user


def confirm_email(*, user_id: int, token: str) -> User:
    """Record that the address is the user's, if the token shows it. Raises NotFoundError."""
    with committed():
        User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
        user = user_of_email_token(user_id=user_id, token=token)
        user.confirmed_email = user.email
        user.save(update_fields={"confirmed_email"})
    return user
