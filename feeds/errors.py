"""Errors: why an action is refused. Pages and the API answer each class with one status, and with its message."""

from __future__ import annotations

from django.utils.translation import gettext as _


class RefusedError(Exception):
    """The action is refused. message: the reason, in the language of the user."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = str(message)


class NotFoundError(RefusedError):
    """It does not exist, or this user must not know that it does (404)."""


class NotAllowedError(RefusedError):
    """This user has no permission for it (403)."""


class InvalidError(RefusedError):
    """A value is not valid (422). field: its name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class TakenError(InvalidError):
    """A value must be unique, and another user or circle has it (409). field: its name."""


class TooOftenError(RefusedError):
    """A client exceeded a limit (429). wait: whole seconds until it is allowed again."""

    def __init__(self, wait: int) -> None:
        super().__init__(_("Too many requests. Try again later."))
        self.wait = wait


class TooManyCodesError(TooOftenError):
    """After wrong codes of a second factor there is a pause (429)."""

    def __init__(self, wait: int) -> None:
        super().__init__(wait)
        text = _("There were too many wrong codes. Enter a recovery code, or try again in %(minutes)s min.")
        self.message = text % {"minutes": -(-wait // 60)}


class CodeNeededError(InvalidError):
    """The password is right, and signing in also takes a code of the second factor (401). field: `code`."""
