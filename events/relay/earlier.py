"""Earlier: keeps relays of an earlier release from being active beside those of this one, for the time of an upgrade.

An earlier relay is active while it holds a lock, and holds it alone. All relays of this release share that lock, so no
earlier one gets it while one of them lives, and none of them is active while an earlier one has it. A frozen relay of
this release keeps no other of this release out. This module can go with the release after the next.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO, Any, Protocol

from .session import PostgresSession

#: The two keys of the advisory lock: "airy", "rela" in ASCII.
RELAY_LOCK = (0x61697279, 0x72656C61)


class EarlierRelays(Protocol):
    """The relays of an earlier release."""

    def kept_out(self) -> bool:
        """Whether none of them can be active from now on. False: one is."""

    def let_in(self) -> None:
        """They may be active again, once no relay of this release lives."""


class SharedAdvisoryLock:
    """PostgreSQL: the lock ends with the relay's session."""

    def __init__(self, session: PostgresSession) -> None:
        self._session = session
        self._held = False

    def kept_out(self) -> bool:
        self._held = self._held or self._session.ask("SELECT pg_try_advisory_lock_shared(%s, %s)", RELAY_LOCK)
        return self._held

    def let_in(self) -> None:
        """The end of the session does."""


class SharedLockFile:
    """SQLite: a lock on a file beside the database. A database in memory has no earlier relays."""

    def __init__(self, connection: Any) -> None:
        name = str(connection.settings_dict["NAME"])
        self._path = None if ":memory:" in name or "mode=memory" in name else Path(f"{name}.relay")
        self._file: IO[str] | None = None

    def kept_out(self) -> bool:
        if self._path is None or self._file is not None:
            return True
        file = self._path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def let_in(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
