"""Server: what a test needs to start a server process of its own, and to end that one alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path


class ServerMissingError(Exception):
    """The programs of a server are not on this machine."""


class ServerProcess:
    """One process in a group of its own, its words in a file."""

    def __init__(self, command: Sequence[str], *, log: Path, environment: dict[str, str] | None = None) -> None:
        with log.open("ab") as words:
            self._process = subprocess.Popen(
                command,
                env=os.environ | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, within: float = 60.0) -> None:
        """Wait until it is ready. Raises RuntimeError with its words if it ends before, or time is up."""
        deadline = time.monotonic() + within
        while not ready():
            if not self.alive() or time.monotonic() > deadline:
                words = self._log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{self._process.args} did not come up within {within} s:\n{words}")
            time.sleep(0.05)

    def end(self, number: signal.Signals, *, within: float = 60.0) -> None:
        """Signal it and wait for its end; after that time it is killed."""
        if self.alive():
            self._process.send_signal(number)
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(30)
