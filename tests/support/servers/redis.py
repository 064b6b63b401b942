"""Redis: a server of a test's own, which it may stop, kill and start again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers.ports import answers, free_port
from tests.support.servers.process import ServerMissingError, ServerProcess


class RedisServer:
    """One Redis without a disk, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        if not shutil.which("redis-server"):
            raise ServerMissingError("no redis-server on PATH")
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Until it answers."""
        command = ("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = ServerProcess([*command, "--dir", str(self._folder)], log=self._folder / "redis.log")
        self._process.wait_until(lambda: answers(self.port), within=20)

    def kill(self) -> None:
        """SIGKILL: the port answers no longer."""
        self._process.kill()

    def freeze(self) -> None:
        """SIGSTOP: it takes connections, and never answers."""
        os.kill(self._process.pid, signal.SIGSTOP)


@contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """A started Redis, ended on leaving. Raises ServerMissingError."""
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.kill()
