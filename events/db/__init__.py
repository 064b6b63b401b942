"""Where PostgreSQL and SQLite differ; a commit that is certain; columns and indexes that
are made beside readers and writers; statements that are planned once; the one retry of
deadlocks; what an outage is, how a session that failed is closed for good, what a process's sessions are called, and
which migrations are missing.

Promise: callers write one statement, and it means the same on both databases.
Runs in: any process. Writes: nothing of its own. A public door: other apps use it for their own tables.
"""

from .add_field import AddFieldOnce
from .commit import NotCommittedError, committed
from .deadlocks import retry_deadlocks
from .discard import discard
from .indexes import build_index, drop_index
from .outages import is_outage
from .prepared import fetch, prepared_cursor
from .session_names import name_sessions
from .unapplied import unapplied_migrations

__all__ = [
    "AddFieldOnce",
    "NotCommittedError",
    "build_index",
    "committed",
    "discard",
    "drop_index",
    "fetch",
    "is_outage",
    "name_sessions",
    "prepared_cursor",
    "retry_deadlocks",
    "unapplied_migrations",
]
