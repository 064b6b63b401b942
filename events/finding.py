"""Finding: one thing that is wrong, with its cure."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """PROBLEM: events are not delivered, or will not be, or somebody else can get in. WARNING: it works, and will be
    regretted."""

    PROBLEM = "problem"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong, and what to do, each in plain sentences."""

    problem: str
    cure: str
    severity: Severity = Severity.PROBLEM
