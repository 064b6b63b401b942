"""Where PostgreSQL and SQLite differ; a commit that is certain; statements that are planned once; the one retry of
deadlocks; what an outage is, how a session that failed is closed for good, and what a process's sessions are called.

Promise: callers write one statement, and it means the same on both databases.
Runs in: any process. Writes: nothing of its own. A public door: other apps use it for their own tables.
"""

from .commit import NotCommittedError, committed
from .deadlocks import retry_deadlocks
from .discard import discard
from .outages import is_outage
from .prepared import prepared_cursor
from .session_names import name_sessions

__all__ = [
    "NotCommittedError",
    "committed",
    "discard",
    "is_outage",
    "name_sessions",
    "prepared_cursor",
    "retry_deadlocks",
]
