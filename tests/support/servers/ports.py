"""Ports for servers of a test's own."""

from __future__ import annotations

import os
import random
import socket

#: Below the range that the kernel hands to outgoing connections: a server there finds its port free on every restart.
LOWEST, HIGHEST = 20_000, 32_000
_dice = random.Random(os.getpid())


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, below the ephemeral range."""
    while True:
        port = _dice.randrange(LOWEST, HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def answers(port: int) -> bool:
    """Whether a server listens on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
