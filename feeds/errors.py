"""Errors: why an action is refused. Pages and the API answer each class with one status, and with its message."""

from __future__ import annotations


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
