"""Errors: why an action is refused. Each is shown to the person, and a page or the API has one answer for each."""

from __future__ import annotations


class RefusedError(Exception):
    """An action cannot be done. `message` is for the person who tried."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = str(message)


class NotFoundError(RefusedError):
    """There is no such thing, or it is not for this person to know of (404)."""


class NotAllowedError(RefusedError):
    """This person may not do that (403)."""


class InvalidError(RefusedError):
    """A value that cannot be taken; `field` names it (422)."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class TakenError(InvalidError):
    """A value that must be one's own, and someone else has it (409)."""
