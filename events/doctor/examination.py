"""Examination: one thing that the doctor looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..finding import Finding

Look = Callable[[], Iterable[Finding]]


class CannotExamineError(RuntimeError):
    """Nothing can be said, since something else is broken that another examination names."""


@dataclass(frozen=True)
class Examination:
    """title: what is looked at, in a word or two. needs_database: it is passed over while the database does not answer,
    or has not all tables."""

    title: str
    look: Look
    needs_database: bool


#: In the order in which they were declared.
examinations: list[Examination] = []


def examination(title: str, *, needs_database: bool = False) -> Callable[[Look], Look]:
    """Declare an examination: a function that yields what is wrong."""

    def declare(look: Look) -> Look:
        examinations.append(Examination(title, look, needs_database))
        return look

    return declare
