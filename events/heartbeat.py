"""Heartbeat: a process says that it lives, and with what figures."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, is_dataclass
from typing import Any

from django.db.models.functions import Now

from events.models import Process
from events.pool import get_pool


def beat(kind: str, **figures: Any) -> None:
    """Write this process's row."""
    pool = get_pool().stats()
    figures["pool"] = asdict(pool) if is_dataclass(pool) else pool._asdict()
    Process.objects.update_or_create(
        kind=kind, host=socket.gethostname(), pid=os.getpid(), defaults={"beat_at": Now(), "figures": figures}
    )
