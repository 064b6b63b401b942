"""Notify: how a transaction that writes to the outbox wakes a relay that sleeps. The relay's side is `relay/listen.py`.

The relay holds the wake lock exclusively while it sleeps. On PostgreSQL the statement that writes the outbox asks for
that lock in shared mode:

| the relay | the transaction        | what follows                                                                |
|-----------|------------------------|-----------------------------------------------------------------------------|
| works     | gets the lock, shared  | no notification; the relay cannot fall asleep before the transaction ends   |
| sleeps    | does not get the lock  | it sends a notification with its commit, and the relay wakes                |

A notification per commit would halve the commits of eight writers, so only a sleeping relay is woken.

Lock and channel are those of one outbox table: two installations in the schemas of one database do not wake each other.
Releases before this one had one lock and one channel per database. While processes of both run, during an upgrade, a
relay does not hear the transactions of the other release: it finds their events a second later, at its next look.
"""

import threading
from functools import cache

#: The upper half of the lock's key: "wake" in ASCII. The lower half is the object id of the outbox table.
WAKE_LOCK = 0x77616B65 << 32
#: The channel's name up to the object id of the outbox table.
WAKE_CHANNEL = "events_outbox_"

#: Set when a transaction of this process has committed outbox rows to a database that has no notifications (SQLite).
local_notification = threading.Event()


@cache
def notify_sleeping_relay(outbox: str) -> str:
    """An SQL expression for the end of the statement that writes the outbox. outbox: the quoted name of its table.

    PostgreSQL looks the name up when it plans the statement, and plans it anew if the search path has changed.
    """
    key = f"({WAKE_LOCK} | '{outbox}'::regclass::oid::bigint)"
    channel = f"'{WAKE_CHANNEL}' || '{outbox}'::regclass::oid"
    return f"CASE WHEN pg_try_advisory_xact_lock_shared{key} THEN NULL ELSE pg_notify({channel}, '') END"
