"""Report: sends the time when a subscriber started to the benchmark, as one datagram to a local port."""

from __future__ import annotations

import os
import socket
import time

_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
#: UDP port of the benchmark; 0 if no benchmark collects the times.
_port = int(os.environ.get("AIRY_BENCH_CLOCK", "0"))


def report_start_time(number: int) -> None:
    """Send the number and the time in nanoseconds, by the monotonic clock that all local processes share."""
    if _port:
        _socket.sendto(f"{number} {time.monotonic_ns()}".encode(), ("127.0.0.1", _port))
