"""Classes of characters for regular expressions, of few ranges: the fewer, the faster they are searched for."""

from __future__ import annotations

from collections.abc import Iterable


def character_class(codes: Iterable[int]) -> str:
    """The class of the characters with these codes, which must be letters, marks or not assigned, in order."""
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in ranges)}]"
