"""Pid file: holds the number of the supervisor while it runs."""

from __future__ import annotations

import os
from pathlib import Path


class PidFileError(Exception):
    """The file belongs to another process that runs, or cannot be written."""


def write_pid_file(path: Path) -> None:
    """Write this process's number. Raises PidFileError."""
    try:
        other = int(path.read_text().strip())
    except FileNotFoundError:
        other = None
    except ValueError:
        raise PidFileError(f"{path} holds no process number. Is it the right file?") from None
    except OSError as error:
        raise PidFileError(f"{path} cannot be read: {error}") from None
    if other not in (None, os.getpid()) and _lives(other):
        raise PidFileError(f"Process {other} runs already, says {path}.")
    try:
        path.write_text(str(os.getpid()))
        path.chmod(0o644)
    except OSError as error:
        raise PidFileError(f"{path} cannot be written: {error}") from None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
