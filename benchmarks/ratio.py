"""Ratio: prints one, with its spread over the rounds and the bound it is held to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def print_ratio(what: str, ours: Sequence[float], other: Sequence[float], bound: str) -> None:
    """The ratio of the medians, and the lowest and highest of the single rounds."""
    rounds = [a / b for a, b in zip(ours, other, strict=True)]
    middle = statistics.median(ours) / statistics.median(other)
    print(f"{what}: {middle:.2f} [{min(rounds):.2f}..{max(rounds):.2f}] ({bound})", flush=True)
