"""Processes: the heartbeat rows."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db.models import Q
from django.db.models.functions import Now

from ..db.primary import PrimaryQuerySet

if TYPE_CHECKING:
    from .models import Process  # noqa: F401 - in a class header


class ProcessQuerySet(PrimaryQuerySet["Process"]):
    """Web processes, workers and relays."""

    #: After 15 s without a heartbeat a process counts as dead.
    SILENCE = dt.timedelta(seconds=15)
    #: The row of a dead process is kept for a day.
    KEEP_DEAD = dt.timedelta(days=1)

    def alive(self) -> ProcessQuerySet:
        """Processes whose heartbeat is not overdue."""
        return self.filter(beat_at__gt=Now() - self.SILENCE)

    def with_silence(self) -> ProcessQuerySet:
        """Adds `silent`: whether the heartbeat is overdue."""
        return self.annotate(silent=~Q(beat_at__gt=Now() - self.SILENCE))

    def outdated(self, *, kind: str, host: str, pid: int) -> ProcessQuerySet:
        """The rows to fold and delete when a process of this name begins: processes that are dead for a day, and the
        earlier process of this name."""
        return self.filter(Q(beat_at__lt=Now() - self.KEEP_DEAD) | Q(kind=kind, host=host, pid=pid))
