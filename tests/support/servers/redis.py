"""Redis: a server of a test's own, which it may stop, kill and start again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers.certificates import Certificates
from tests.support.servers.ports import answers, free_port
from tests.support.servers.process import ServerMissingError, ServerProcess


class RedisServer:
    """One Redis without a disk, on a port of its own, which speaks TLS where certificates are given."""

    def __init__(self, folder: Path, *, certificates: Certificates | None = None, password: str = "") -> None:
        if not shutil.which("redis-server"):
            raise ServerMissingError("no redis-server on PATH")
        self._folder = folder
        self.port = free_port()
        self._options: tuple[str, ...] = ("--requirepass", password) if password else ()
        self._port_options: tuple[str, ...] = ("--port", str(self.port))
        access = f":{password}@" if password else ""
        self.url = f"redis://{access}127.0.0.1:{self.port}"
        if certificates:
            self._port_options = ("--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no")
            files = {"ca-cert": certificates.authority, "cert": certificates.server, "key": certificates.key}
            for name, path in files.items():
                self._options += (f"--tls-{name}-file", str(path))
            self.url = f"rediss://{access}127.0.0.1:{self.port}?ssl_ca_certs={certificates.authority}"
        self.start()

    def start(self) -> None:
        """Until it answers."""
        command = ("redis-server", *self._port_options, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        command = (*command, *self._options, "--dir", str(self._folder))
        self._process = ServerProcess(command, log=self._folder / "redis.log")
        self._process.wait_until(lambda: answers(self.port), within=20)

    def kill(self) -> None:
        """SIGKILL: the port answers no longer."""
        self._process.kill()

    def freeze(self) -> None:
        """SIGSTOP: it takes connections, and never answers."""
        os.kill(self._process.pid, signal.SIGSTOP)


@contextmanager
def running_redis(
    folder: Path, *, certificates: Certificates | None = None, password: str = ""
) -> Iterator[RedisServer]:
    """A started Redis, ended on leaving. Raises ServerMissingError."""
    server = RedisServer(folder, certificates=certificates, password=password)
    try:
        yield server
    finally:
        server.kill()
