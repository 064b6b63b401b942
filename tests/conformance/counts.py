"""Counts: what is counted in every case, as numbers and with nothing de-duplicated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.delivery_log import read_log
from tests.conformance.models import Mark


@dataclass(frozen=True)
class Counts:
    """handed: messages given to subscribers; again: of those, given before for the same attempt; doubled: effects on
    an event beyond the first; inversions: effects after a later one of the same line."""

    handed: int
    again: int
    doubled: int
    inversions: int


def counts_in(delivery_log: Path) -> Counts:
    """The figures of all that happened in the case."""
    handed = read_log(delivery_log)
    lines: dict[tuple[str, int], list[int]] = {}
    effects: Counter[tuple[str, object]] = Counter()
    for subscriber, event_id, line, number in Mark.objects.order_by("pk").values_list(
        "subscriber", "event_id", "line", "number"
    ):
        effects[subscriber, event_id] += 1
        lines.setdefault((subscriber, line), []).append(number)
    return Counts(
        handed=handed.total(),
        again=handed.total() - len(handed),
        doubled=effects.total() - len(effects),
        inversions=sum(map(inversions, lines.values())),
    )


def inversions(numbers: Sequence[int]) -> int:
    """How many of these come after a greater one."""
    greatest, found = -1, 0
    for number in numbers:
        found += number < greatest
        greatest = max(greatest, number)
    return found
