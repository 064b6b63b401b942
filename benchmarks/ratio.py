"""Ratio: prints the ratio of two measurements, its range over the rounds and its bound."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def print_ratio(what: str, ours: Sequence[float], other: Sequence[float], bound: str) -> None:
    """Print the ratio of the medians, and the lowest and highest ratio of a single round.

    bound: the ratio that is required or expected, in words.
    """
    rounds = [a / b for a, b in zip(ours, other, strict=True)]
    of_medians = statistics.median(ours) / statistics.median(other)
    print(f"{what}: {of_medians:.2f} [{min(rounds):.2f}..{max(rounds):.2f}] ({bound})", flush=True)
