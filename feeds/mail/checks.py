"""Checks: a deployment without a mail server, whose letters nobody would get."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning

CONSOLE = "django.core.mail.backends.console.EmailBackend"


def check_mail(**kwargs: Any) -> list[CheckMessage]:
    """Letters go to their readers. On the console they would stand in the log, with links that let people in."""
    if settings.EMAIL_BACKEND != CONSOLE:
        return []
    return [
        Warning(
            "Letters are written to the console of the worker: nobody gets the link to a new password, and whoever"
            " reads the log can use it.",
            hint="Set EMAIL_URL, for example EMAIL_URL=smtp+tls://user:password@host:587.",
            id="feeds.W001",
        )
    ]
