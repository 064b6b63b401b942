"""Leader: which relay is the active one. The lock of the leader ends with its holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Any, Protocol

from .session import PostgresSession

#: The two keys of the leader's advisory lock: "airy", "rela" in ASCII.
RELAY_LOCK = (0x61697279, 0x72656C61)


class Leadership(Protocol):
    """The right to be the active relay."""

    def acquire(self) -> bool:
        """Try to become the leader; True from then on, until it is released or lost."""

    def held(self) -> bool:
        """Whether this relay is still the leader. It is not when its session was ended or its lock file removed."""

    def release(self) -> None:
        """Give up the leadership."""


class AdvisoryLock:
    """PostgreSQL: an advisory lock of the relay's session."""

    def __init__(self, session: PostgresSession) -> None:
        self._session = session

    def acquire(self) -> bool:
        return self._session.ask("SELECT pg_try_advisory_lock(%s, %s)", RELAY_LOCK)

    def held(self) -> bool:
        return self._session.is_open()

    def release(self) -> None:
        self._session.close()


class LockFile:
    """SQLite: a lock on a file beside the database."""

    def __init__(self, connection: Any) -> None:
        self._path = Path(f"{connection.settings_dict['NAME']}.relay")
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        if self._file is None:
            file = self._path.open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
            self._file = file
        return True

    def held(self) -> bool:
        try:
            return self._file is not None and os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
