"""Full: a limit on what is open at once is reached. It is counted, and once a minute logged with its setting."""

from __future__ import annotations

import time

import structlog
from django.conf import settings

from feeds.limits.limit import REFUSED

logger = structlog.get_logger("feeds.limits")

#: Seconds between two warnings of one limit.
QUIET = 60.0
_warned_at: dict[str, float] = {}


def refused_as_full(setting: str, *, limit: str) -> None:
    """One more was refused, since as many are open as the setting allows. limit: its name in the metrics."""
    REFUSED.labels(limit=limit).inc()
    now = time.monotonic()
    if now - _warned_at.get(setting, -QUIET) >= QUIET:
        _warned_at[setting] = now
        logger.warning("refused, since so many are open", setting=setting, most=getattr(settings, setting))
