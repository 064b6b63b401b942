"""What PostgreSQL and SQLite are told differently, and statements that are planned once.

A public door: other apps use it for their own tables.
"""

from .prepared import prepared_cursor

__all__ = ["prepared_cursor"]
