"""ProcessorClock: the processor time of this process and of its PostgreSQL session together."""

from __future__ import annotations

import time
from pathlib import Path


class ProcessorClock:
    """Reads both clocks. The session is that of this thread; it must be on the same machine, with Linux."""

    def __init__(self) -> None:
        from django.db import connection

        connection.ensure_connection()
        self._session = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")

    def seconds(self) -> float:
        """Seconds since some moment."""
        return time.process_time() + int(self._session.read_text().split()[0]) / 1e9
