"""Processes: `manage.py` and workers in processes of their own, on the test database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests.conformance.worker_command import worker_command


def _lives(pid: str) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False  # it has just ended, and its parent knows


def database_url() -> str:
    """DATABASE_URL of the test database, for another process."""
    config = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{config['NAME']}"
    user = f"{config['USER']}:{config['PASSWORD']}" if config["PASSWORD"] else config["USER"]
    return f"postgres://{user}@{config['HOST']}:{config['PORT'] or 5432}/{config['NAME']}"


class Manage:
    """Starts processes on the test database, such as `manage.py`; each has a group of its own, so that a kill ends its
    children, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen] = []
        self._orphaned: dict[int, float] = {}

    def __call__(self, *arguments: str, **environment: str) -> subprocess.Popen:
        return self.start(sys.executable, "manage.py", *arguments, **environment)

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        """Any command, in the project's folder."""
        with (self._folder / "manage.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=os.environ | {"DATABASE_URL": database_url(), "AIRY_TEST_CHILD": "on"} | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def worker(self, *, processes: int = 1, threads: int = 4, **environment: str) -> subprocess.Popen:
        """A worker, started as `manage.py rundramatiq` starts it, without the first start of Django."""
        command = worker_command("--processes", str(processes), "--threads", str(threads))
        return self.start(*command, **environment)

    def log(self) -> str:
        """What the processes wrote."""
        log = self._folder / "manage.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def has_ended(self, process: subprocess.Popen) -> bool:
        """Whether a worker is to be started again: it ended, or its child did ten seconds ago and it did not notice.

        Dramatiq's parent process waits until its child is up. If the child is killed at that moment, the parent waits
        for a lock for ever, and takes no signal.
        """
        if process.poll() is not None:
            return True
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children and not any(map(_lives, children)):
            return time.monotonic() > self._orphaned.setdefault(process.pid, time.monotonic()) + 10
        self._orphaned.pop(process.pid, None)
        return False

    @staticmethod
    def kill(process: subprocess.Popen) -> None:
        """SIGKILL to the process and all its children, at once."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def stop(self) -> None:
        """SIGTERM to all; a process that does not end within 45 s is killed, and the test fails."""
        running = [process for process in self._started if process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(45)
            except subprocess.TimeoutExpired:
                self.kill(process)
                pytest.fail(f"{process.args} did not end on SIGTERM:\n{self.log()[-3000:]}")
