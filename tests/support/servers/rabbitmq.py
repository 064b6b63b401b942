"""Node: a RabbitMQ of a test's own, to be configured, stopped, killed, blocked and wiped without harm to others."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.servers.place import Place
from tests.support.servers.ports import answers, free_port
from tests.support.servers.process import ServerProcess

#: The secret that nodes of one cluster share.
COOKIE = "airy_test"


class Node:
    """One RabbitMQ node with its own name, ports, port mapper and folders, and this advanced.config."""

    def __init__(
        self,
        folder: Path,
        *,
        configuration: str = "[].",
        plugins: Sequence[str] = (),
        place: Place | None = None,
        beside: Node | None = None,
    ) -> None:
        """place: where its programs are, by default this machine. beside: a node to share the port mapper with, as a
        cluster's nodes must."""
        self._place = place or Place()
        self._sbin = self._place.rabbitmq_programs()
        self.port = free_port()
        self._mapper_port = beside._mapper_port if beside else free_port()
        self.name = f"airy_test_{self.port}@localhost"
        self._folder = self._place.folder(folder, name=f"airy_test_{self.port}")
        self._folder.mkdir(parents=True)
        (self._folder / "plugins").write_text(f"[{','.join(plugins)}].\n")
        (self._folder / "environment").touch()
        (self._folder / "advanced.config").write_text(configuration)
        (self._folder / ".erlang.cookie").write_text(COOKIE)
        (self._folder / ".erlang.cookie").chmod(0o400)
        folder = self._place.inside(self._folder)
        # A node that is killed and started again must not wait for its own name to be forgotten.
        self._environment = {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": self.name,
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
        self._mapper: ServerProcess | None = None
        if beside is None:
            mapper = ("epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1")
            self._mapper = ServerProcess(self._place.command(*mapper), log=self._folder / "epmd.log")
            self._mapper.wait_until(lambda: answers(self._mapper_port))
        self._process: ServerProcess | None = None

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._process = ServerProcess(
            self._place.command(str(self._sbin / "rabbitmq-server")),
            log=self._folder / "node.log",
            environment=self._environment,
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
        command = self._place.command(str(self._sbin / "rabbitmqctl"), "-q", "-n", self.name, *arguments)
        done = subprocess.run(command, env=os.environ | self._environment, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def join(self, other: Node) -> None:
        """Become a node of the other's cluster, and lose what it held."""
        self.control("stop_app")
        self.control("join_cluster", other.name)
        self.control("start_app")

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

    @contextmanager
    def full(self, queue: str) -> Iterator[None]:
        """Let a queue refuse every message."""
        limit = '{"max-length": 0, "overflow": "reject-publish"}'
        self.control("set_policy", "--apply-to", "queues", "full", f"^{re.escape(queue)}$", limit)
        try:
            yield
        finally:
            self.control("clear_policy", "full")

    @contextmanager
    def limited(self, *, connections: int) -> Iterator[None]:
        """Take no further connection beyond so many; those that are open stay."""
        self.control("set_vhost_limits", f'{{"max-connections": {connections}}}')
        try:
            yield
        finally:
            self.control("clear_vhost_limits")

    def take_at_most(self, size: int) -> None:
        """Refuse messages of more bytes. Connections are closed: an open channel keeps what it began with."""
        # RabbitMQ 4 reads it from a term that it has set on its start.
        set_both = "application:set_env(rabbit, max_message_size, {0}), persistent_term:put(max_message_size, {0})."
        self.control("eval", set_both.format(size))
        self.close_connections()

    def end(self) -> None:
        """End it and its port mapper; nothing is left in another system's folder."""
        self.kill()
        if self._mapper is not None:
            self._mapper.kill()
        if self._place.root is not None:
            shutil.rmtree(self._folder)


@contextmanager
def running_node(folder: Path, **options: Any) -> Iterator[Node]:
    """A started node, ended on leaving; the options are those of `Node`. Raises ServerMissingError."""
    node = Node(folder, **options)
    try:
        node.start()
        yield node
    finally:
        node.end()
