"""Watch: tells the supervisor to start again with new code when a file of a folder changes. For development."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from ..logger import get_logger
from .signals import Signals

log = get_logger("events.worker")

#: Seconds between two looks at the files.
INTERVAL = 1.0


def watch(signals: Signals, folder: Path, *, supervisor: int) -> int:
    """Look at the Python files until told to end; send SIGHUP to the supervisor when one has changed."""
    before = _times(folder)
    while not signals.wait(INTERVAL):
        now = _times(folder)
        if changed := sorted({str(path) for path, _ in now ^ before}):
            log.info("files changed", files=changed[:5])
            os.kill(supervisor, signal.SIGHUP)
            signals.wait()
            break
        before = now
    return 0


def _times(folder: Path) -> set[tuple[Path, int]]:
    found = set()
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.endswith(".py"):
                path = Path(parent, name)
                try:
                    found.add((path, path.stat().st_mtime_ns))
                except FileNotFoundError:
                    continue  # it was removed meanwhile
    return found
