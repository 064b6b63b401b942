"""Node: a RabbitMQ of a test's own, to be configured, stopped, killed, blocked and wiped without harm to others."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers.ports import answers, free_port
from tests.support.servers.process import ServerMissingError, ServerProcess


def programs() -> Path:
    """The folder of RabbitMQ's own scripts: a distribution's wrappers change the user and the home.

    Raises ServerMissingError.
    """
    wrapper = shutil.which("rabbitmq-server")
    candidates = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))
    if wrapper:
        candidates.append(Path(wrapper).resolve().parent)
    for folder in candidates:
        if (folder / "rabbitmq-server").exists() and (folder / "rabbitmqctl").exists():
            return folder
    raise ServerMissingError("no rabbitmq-server on this machine")


class Node:
    """One RabbitMQ node with its own name, ports, port mapper and folders, and this advanced.config."""

    def __init__(self, folder: Path, *, configuration: str = "[].") -> None:
        self._sbin = programs()
        self._folder = folder
        self.port = free_port()
        self._mapper_port = free_port()
        self._name = f"airy_test_{self.port}@localhost"
        folder.mkdir(parents=True)
        (folder / "plugins").write_text("[].\n")
        (folder / "environment").touch()
        (folder / "advanced.config").write_text(configuration)
        # A node that is killed and started again must not wait for its own name to be forgotten.
        self._environment = {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "environment"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }
        mapper = shutil.which("epmd") or "epmd"
        self._mapper = ServerProcess(
            (mapper, "-port", str(self._mapper_port), "-address", "127.0.0.1"), log=folder / "epmd.log"
        )
        self._mapper.wait_until(lambda: answers(self._mapper_port))
        self._process: ServerProcess | None = None

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._process = ServerProcess(
            (str(self._sbin / "rabbitmq-server"),), log=self._folder / "node.log", environment=self._environment
        )
        self._process.wait_until(lambda: answers(self.port))

    def stop(self) -> None:
        """An orderly end."""
        if self._process is not None:
            self._process.end(signal.SIGTERM)
            self._until_silent()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._until_silent()

    def wipe(self) -> None:
        """Lose the disk. Only while it is down."""
        assert self._process is None or not self._process.alive()
        shutil.rmtree(self._folder / "mnesia")

    def _until_silent(self) -> None:
        """Wait until the port is let go: the next start must not take this one's for its own."""
        deadline = time.monotonic() + 30
        while answers(self.port):
            assert time.monotonic() < deadline, "the node did not end within 30 s"
            time.sleep(0.02)

    def control(self, *arguments: str) -> str:
        """`rabbitmqctl`, on this node. Raises RuntimeError with its words."""
        command = (str(self._sbin / "rabbitmqctl"), "-q", "-n", self._name, *arguments)
        done = subprocess.run(command, env=os.environ | self._environment, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def close_connections(self) -> None:
        """Close every client's connection."""
        self.control("close_all_connections", "a test")

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Raise the memory alarm: connections that publish are no longer read from."""
        self.control("set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            yield
        finally:
            self.control("set_vm_memory_high_watermark", "0.6")

    def end(self) -> None:
        """End it and its port mapper."""
        self.kill()
        self._mapper.kill()


@contextmanager
def running_node(folder: Path, *, configuration: str = "[].") -> Iterator[Node]:
    """A started node, ended on leaving. Raises ServerMissingError."""
    node = Node(folder, configuration=configuration)
    try:
        node.start()
        yield node
    finally:
        node.end()
