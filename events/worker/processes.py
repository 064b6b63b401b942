"""Processes: the workers and relays that say they live."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from ..models import Process  # noqa: F401 - in a class header


class ProcessQuerySet(models.QuerySet["Process"]):
    """Workers and relays."""

    #: A process that has not written for so long is taken for dead.
    SILENCE = dt.timedelta(seconds=15)
    #: So long the row of one that died is shown.
    KEPT = dt.timedelta(days=1)

    def alive(self) -> ProcessQuerySet:
        """Those whose heartbeat is fresh."""
        return self.filter(beat_at__gt=Now() - self.SILENCE)

    def with_silence(self) -> ProcessQuerySet:
        """Each with `silent`: whether its heartbeat is overdue."""
        return self.annotate(silent=~Q(beat_at__gt=Now() - self.SILENCE))

    def outdated(self, *, kind: str, host: str, pid: int) -> ProcessQuerySet:
        """The rows that mean nothing once a process of this name begins: the long dead, and the name's last bearer."""
        return self.filter(Q(beat_at__lt=Now() - self.KEPT) | Q(kind=kind, host=host, pid=pid))
