"""Heartbeat: a process says that it lives, and with what figures."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict
from typing import Any

from django.db.models.functions import Now

from ..models import Process
from ..pool import get_pool


def arrive(kind: str) -> None:
    """Make room for this process's row: those of its namesakes go, and those of the long dead.

    Names come back where containers do: each has a process 1, and host names may be fixed.
    """
    Process.objects.outdated(**_name(kind)).delete()


def beat(kind: str, **figures: Any) -> None:
    """Write this process's row."""
    figures["pool"] = asdict(get_pool().stats())
    Process.objects.update_or_create(**_name(kind), defaults={"beat_at": Now(), "figures": figures})


def leave(kind: str) -> None:
    """Take this process's row away: what ends in order is no silent process."""
    Process.objects.filter(**_name(kind)).delete()


def _name(kind: str) -> dict[str, Any]:
    return {"kind": kind, "host": socket.gethostname(), "pid": os.getpid()}
