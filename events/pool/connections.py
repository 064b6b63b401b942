"""Django's database connections on the pool's threads: close the broken and old ones, and all of a thread that ends.

Without Django, or before its settings are read, each call costs one dictionary lookup.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)


def in_use() -> bool:
    """Whether this process can have a database connection at all."""
    return "django.db" in sys.modules and sys.modules["django.conf"].settings.configured


def close_old() -> None:
    """Close the calling thread's connections that are broken or older than CONN_MAX_AGE, but none in a transaction."""
    for connection in _connections():
        try:
            connection.close_if_unusable_or_obsolete()
        except Exception:  # the next task must not fail because an old connection cannot be closed
            logger.exception("closing an old connection to %s failed", connection.alias)


def close_all() -> None:
    """Close the calling thread's connections, because the thread ends."""
    for connection in _connections():
        try:
            connection.close()
        except Exception:
            logger.exception("closing the connection to %s failed", connection.alias)


def _connections() -> Sequence[BaseDatabaseWrapper]:
    if not in_use():
        return []
    from django.db import connections

    return connections.all(initialized_only=True)
