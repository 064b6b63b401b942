"""Processes: `manage.py` and workers in processes of their own, on the test database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection


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
        """Workers, and the relay beside them."""
        return self("rundramatiq", "--processes", str(processes), "--threads", str(threads), **environment)

    def log(self) -> str:
        """What the processes wrote."""
        log = self._folder / "manage.log"
        return log.read_text(errors="replace") if log.exists() else ""

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
