"""Says when something began, to the benchmark that asked: one datagram to a port of this machine."""

from __future__ import annotations

import os
import socket
import time

_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
_port = int(os.environ.get("AIRY_BENCH_CLOCK", "0"))


def tell(number: int) -> None:
    """Send the number and the time, by the clock that all processes of this machine share."""
    if _port:
        _socket.sendto(f"{number} {time.monotonic_ns()}".encode(), ("127.0.0.1", _port))
