"""Remembered keys: what this process keeps in mind for a time, such as where an account was opened before."""

from __future__ import annotations

import threading
import time


class RememberedKeys:
    """Keys, each for some seconds; the newest of them: above `most`, the one that was added first is forgotten.

    Apart from the counts: these may be kept for months, and would take the places of clients.
    """

    def __init__(self, *, most: int = 50_000) -> None:
        self._until: dict[str, float] = {}
        self._most = most
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._until)

    def remember(self, key: str, seconds: int) -> None:
        """Keep a key for so many seconds from now on."""
        with self._lock:
            self._until.pop(key, None)
            self._until[key] = time.monotonic() + seconds
            if len(self._until) > self._most:
                del self._until[next(iter(self._until))]

    def remembers(self, key: str) -> bool:
        """Whether a key is kept."""
        return self._until.get(key, 0.0) > time.monotonic()
