"""A RabbitMQ node of a test's own: one that may be starved, blocked and configured without harm to others."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SERVER = shutil.which("rabbitmq-server", path="/usr/lib/rabbitmq/bin:/opt/rabbitmq/sbin")
COOKIE = "airytest"


class Node:
    """A running node."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl on this node; raises CalledProcessError with its words."""
        command = ("rabbitmqctl", "-q", "--erlang-cookie", COOKIE, "-n", self.name, *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@contextmanager
def own_node(folder: Path, *, configuration: str = "[].") -> Iterator[Node]:
    """A fresh node inside, on free ports, with this advanced.config; its data lies in the folder."""
    assert SERVER, "no rabbitmq-server beside rabbitmqctl"
    port, distribution = _free_ports()
    name = f"airy_test_{port}@localhost"
    (folder / "advanced.config").write_text(configuration)
    (folder / "plugins").write_text("[].")
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": name,
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-setcookie {COOKIE}",
    }
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            SERVER,
            cwd=folder,
            env=os.environ | environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ did not start: {(folder / 'out').read_text(errors='replace')[-2000:]}")
            time.sleep(0.2)
        yield Node(name, port)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _free_ports() -> tuple[int, int]:
    """Two ports below those the system hands out by itself."""
    free: list[int] = []
    for port in range(21_000 + os.getpid() % 5_000, 32_000):
        with socket.socket() as candidate, suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            free.append(port)
        if len(free) == 2:
            return free[0], free[1]
    raise RuntimeError("no free port between 21000 and 32000")


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            connection.settimeout(2)
            return bool(connection.recv(1))
    except OSError:
        return False
