"""Crash points: a file per step. The first process that reaches the step removes the file and is killed there. Moods on
demand, and processes that hang, are files, too."""

from __future__ import annotations

import os
import signal
from pathlib import Path

FOLDER = "AIRY_CHAOS_FOLDER"


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


def first_to_hang(number: int) -> bool:
    """Whether this run of an event is its first, and is to hang; then a file names the process."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return False
    try:
        with open(Path(folder) / f"hanging_{number}", "x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True


def hanging(folder: Path) -> dict[int, int]:
    """The processes that hang, or did, by the number of the event."""
    files = (file for file in folder.glob("hanging_*") if file.stat().st_size)
    return {int(file.name.removeprefix("hanging_")): int(file.read_text()) for file in files}
