"""Traps: a file per step. The first process that reaches the step takes the file away and dies there and then."""

from __future__ import annotations

import os
import signal
from pathlib import Path

FOLDER = "AIRY_CHAOS_FOLDER"


def die_if(step: str) -> None:
    """End this process with SIGKILL if a trap is laid at this step; each trap springs once."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return
    try:
        os.unlink(trap(Path(folder), step))
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def trap(folder: Path, step: str) -> Path:
    """Where the trap of a step lies."""
    return folder / f"{step.replace(' ', '_')}.trap"


def note(name: str, count: int) -> None:
    """Add to a count that outlives this process: the length of a file."""
    if count and (folder := os.environ.get(FOLDER)):
        file = os.open(Path(folder) / f"{name}.count", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, b"." * count)
        finally:
            os.close(file)


def noted(folder: Path, name: str) -> int:
    """What was counted so far."""
    file = folder / f"{name}.count"
    return file.stat().st_size if file.exists() else 0
