"""Heartbeat: a process writes every few seconds that it is alive, with its figures."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict
from typing import Any

from django.db.models.functions import Now

from ..pool import get_pool
from .models import Process


def arrive(kind: str) -> None:
    """Delete the rows of processes that are dead for long, and of earlier processes of the same name.

    In containers names return: each has a process 1, and host names may be fixed.
    """
    Process.objects.outdated(**_name(kind)).delete()


def beat(kind: str, **figures: Any) -> None:
    """Write this process's row, with the figures of its task pool."""
    figures["pool"] = asdict(get_pool().stats())
    Process.objects.update_or_create(**_name(kind), defaults={"beat_at": Now(), "figures": figures})


def leave(kind: str) -> None:
    """Delete this process's row: a process that ended in order is not a silent one."""
    Process.objects.filter(**_name(kind)).delete()


def _name(kind: str) -> dict[str, Any]:
    return {"kind": kind, "host": socket.gethostname(), "pid": os.getpid()}
