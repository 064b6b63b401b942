"""Alarm: how a transaction that writes to the outbox wakes a relay that sleeps."""

import threading

#: The pair that names the advisory lock a sleeping relay holds ("airy", "wake").
WAKE_LOCK = (0x61697279, 0x77616B65)
WAKE_CHANNEL = "events_outbox"
#: Set when a transaction of this process committed an event to a database that has no notifications.
local_wakeup = threading.Event()

#: The relay holds the wake lock exclusively while it sleeps. A transaction that gets it shared knows the relay is
#: awake, and keeps it from falling asleep before it ends; one that does not get it wakes the relay as it commits.
ALARM = "CASE WHEN pg_try_advisory_xact_lock_shared(%s, %s) THEN NULL ELSE pg_notify(%s, '') END"
ALARM_VALUES = (*WAKE_LOCK, WAKE_CHANNEL)
