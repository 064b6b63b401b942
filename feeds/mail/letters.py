"""Letters: what Airy writes to people: links to a new password, links that confirm an address, and
what happened to an account."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext_lazy as _

from feeds.mail.letter import send_letter
from feeds.mail.tokens import email_tokens, password_tokens
from feeds.models import User


def write_of_password_reset(user: User, *, site: str, language: str) -> None:
    """Send the link to a new password. Raises MailNotSentError."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("feeds:new_password", args=[uid, password_tokens.make_token(user)])
    send_letter(
        user.mailbox,
        subject=_("Choose a new password for Airy"),
        template="password_reset",
        language=language,
        context={"user": user, "site": _site(site), "link": _site(site) + path, "hours": _hours()},
    )


def write_of_confirmation(user: User, *, site: str, language: str) -> None:
    """Send the link that confirms the user's address to that address. Raises MailNotSentError."""
    path = reverse("feeds:confirm_email", args=[user.pk, email_tokens.make_token(user)])
    send_letter(
        user.email,
        subject=_("Confirm your email address for Airy"),
        template="confirm_email",
        language=language,
        context={"user": user, "site": _site(site), "link": _site(site) + path, "hours": _hours()},
    )


def write_of_another_address(user: User, *, site: str, language: str) -> None:
    """Tell the confirmed address that it is to be replaced. Raises MailNotSentError."""
    send_letter(
        user.confirmed_email,
        subject=_("Your email address on Airy is being changed"),
        template="another_address",
        language=language,
        context={"user": user, "site": _site(site), "link": _site(site) + reverse("feeds:settings")},
    )


def write_of_lost_address(user: User, *, address: str, removed: bool, language: str) -> None:
    """Tell an address that was confirmed that it was removed, or replaced by another. Raises MailNotSentError."""
    send_letter(
        address,
        subject=_("Your email address on Airy was removed") if removed else _("Your email address on Airy was changed"),
        template="lost_address",
        language=language,
        context={"user": user, "removed": removed, "site": settings.SITE_URL},
    )


def write_of_factor(user: User, *, on: bool, language: str) -> None:
    """Tell the user that the second factor was turned on or off. Raises MailNotSentError."""
    send_letter(
        user.mailbox,
        subject=_("Your second factor on Airy is on") if on else _("Your second factor on Airy is off"),
        template="factor",
        language=language,
        context={"user": user, "on": on, "site": settings.SITE_URL},
    )


def _site(site: str) -> str:
    """SITE_URL; the site that was asked, if it is not set."""
    return settings.SITE_URL or site


def _hours() -> int:
    return int(settings.PASSWORD_RESET_TIMEOUT // 3600)
