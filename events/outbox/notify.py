"""Notify: how a transaction that writes to the outbox wakes a relay that sleeps. The relay's side is `relay/listen.py`.

The relay holds WAKE_LOCK exclusively while it sleeps. On PostgreSQL the statement that writes the outbox asks for that
lock in shared mode:

| the relay | the transaction        | what follows                                                                |
|-----------|------------------------|-----------------------------------------------------------------------------|
| works     | gets the lock, shared  | no notification; the relay cannot fall asleep before the transaction ends   |
| sleeps    | does not get the lock  | it sends a notification with its commit, and the relay wakes                |

A notification per commit would halve the commits of eight writers, so only a sleeping relay is woken.
"""

import threading

#: The two keys of the advisory lock: "airy", "wake" in ASCII.
WAKE_LOCK = (0x61697279, 0x77616B65)
WAKE_CHANNEL = "events_outbox"

#: An SQL expression for the end of the statement that writes the outbox, and its parameters.
NOTIFY_SLEEPING_RELAY = "CASE WHEN pg_try_advisory_xact_lock_shared(%s, %s) THEN NULL ELSE pg_notify(%s, '') END"
NOTIFY_PARAMETERS = (*WAKE_LOCK, WAKE_CHANNEL)

#: Set when a transaction of this process has committed outbox rows to a database that has no notifications (SQLite).
local_notification = threading.Event()
