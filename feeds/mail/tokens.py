"""Tokens: the secrets in the links of letters, by Django's generator: bound to a user, expiring, stored nowhere."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.tokens import PasswordResetTokenGenerator

from feeds.models import User


class PasswordTokenGenerator(PasswordResetTokenGenerator):
    """Tokens that let in who forgot the password: Django's, which end with the password, and are worth nothing once
    letters go to another address: who reads the mailbox of before may be somebody else by then.
    """

    key_salt = "feeds.mail.tokens.PasswordTokenGenerator"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        return f"{super()._make_hash_value(user, timestamp)}/{user.mailbox}"


class EmailTokenGenerator(PasswordResetTokenGenerator):
    """Tokens that confirm an address: worth nothing after `PASSWORD_RESET_TIMEOUT` seconds, for another address of the
    user, and once the address is confirmed.
    """

    key_salt = "feeds.mail.tokens.EmailTokenGenerator"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        return f"{user.pk}/{user.email}/{user.confirmed_email}/{timestamp}"


password_tokens = PasswordTokenGenerator()
email_tokens = EmailTokenGenerator()


def is_token_of_email(user: User, token: str) -> bool:
    """Whether the token confirms the address that the user has now."""
    return bool(user.email) and not user.email_confirmed and email_tokens.check_token(user, token)
