"""Crash points: a file per step. The first process that reaches the step removes the file and is killed there. Moods on
demand, and processes that hang, are files, too."""

from __future__ import annotations

import os
import signal
from pathlib import Path

FOLDER = "AIRY_CHAOS_FOLDER"
#: The step at which a subscriber hangs and does not crash.
HANG = "hang"


def crash_if_set(step: str) -> None:
    """End this process with SIGKILL if a crash point is set at this step; each works once."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return
    try:
        os.unlink(crash_point(Path(folder), step))
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def crash_point(folder: Path, step: str) -> Path:
    """The file that sets the crash point of a step."""
    return folder / f"{step.replace(' ', '_')}.crash"


def count_up(name: str, count: int) -> None:
    """Add to a count that outlives this process: the length of a file."""
    if count and (folder := os.environ.get(FOLDER)):
        file = os.open(Path(folder) / f"{name}.count", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, b"." * count)
        finally:
            os.close(file)


def counted(folder: Path, name: str) -> int:
    """What was counted so far."""
    file = folder / f"{name}.count"
    return file.stat().st_size if file.exists() else 0


def wanted_mood(folder: Path, mood: str) -> Path:
    """The file that asks the writers for an event of this mood; who takes the wish removes it."""
    return folder / f"{mood}.wanted"


def hangs(number: int) -> bool:
    """Whether this run of an event is to hang; then a file names the process and the event. One run does for each time
    that it is asked for."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return False
    try:
        os.unlink(crash_point(Path(folder), HANG))
    except FileNotFoundError:
        return False
    written = Path(folder) / f"hanging.{os.getpid()}"
    written.write_text(f"{os.getpid()} {number}")
    written.rename(hanging(Path(folder)))
    return True


def hanging(folder: Path) -> Path:
    """The file that names the process that hangs and the number of its event."""
    return folder / "hanging"
