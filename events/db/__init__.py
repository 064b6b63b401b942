"""What PostgreSQL and SQLite are told differently; statements that are planned once; the one retry of deadlocks.

Promise: callers write one statement, and it means the same on both databases.
Runs in: any process. Writes: nothing of its own. A public door: other apps use it for their own tables.
"""

from .deadlocks import retry_deadlocks
from .prepared import prepared_cursor

__all__ = ["prepared_cursor", "retry_deadlocks"]
