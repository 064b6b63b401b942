"""Session: the relay's own connection to PostgreSQL. The leader's lock and LISTEN last as long as it does."""

from __future__ import annotations

from typing import Any

#: Seconds, and the number of probes, after which PostgreSQL ends the session of a relay whose machine is gone. The lock
#: is free then.
TCP_KEEPALIVES = {"idle": 2, "interval": 1, "count": 2}


class PostgresSession:
    """One autocommit connection, used by the relay's thread only."""

    def __init__(self, connection: Any) -> None:
        parameters = connection.get_connection_params()
        self._database = connection.Database
        self._connection = self._database.connect(**parameters | {"autocommit": True})
        #: Whether a notification has arrived since it was last set to False.
        self.notified = False
        for name, value in TCP_KEEPALIVES.items():
            self._connection.execute(f"SET tcp_keepalives_{name} = {value}")

    def ask(self, sql: str, parameters: tuple[int, int]) -> bool:
        """The boolean that a statement returns."""
        return bool(self._connection.execute(sql, parameters).fetchone()[0])

    def subscribe(self, channel: str) -> None:
        """LISTEN to a channel."""
        self._connection.execute(f"LISTEN {channel}")

    def read(self, seconds: float = 0) -> None:
        """Read notifications off the socket, waiting for `seconds` at most."""
        for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            self.notified = True

    def is_open(self) -> bool:
        """Whether the server still has the session. It is read off the socket, without a round trip."""
        try:
            self.read()
        except self._database.Error:
            return False
        return not self._connection.closed

    def close(self) -> None:
        self._connection.close()
