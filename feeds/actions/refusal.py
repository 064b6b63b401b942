"""Refusal: the error of an action for what a model refuses."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from feeds.errors import InvalidError, TakenError


def refusal(error: ValidationError) -> InvalidError:
    """The error for the first field that is refused: a TakenError if another row has its value."""
    field, problems = next(iter(error.error_dict.items()))
    taken = any(problem.code in {"unique", "taken"} for problem in problems)
    return (TakenError if taken else InvalidError)(field, " ".join(error.message_dict[field]))
