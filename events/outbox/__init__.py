"""What was emitted, and which messages are still to be sent.

Promise: an event is written in the transaction of the change that it reports, or not at all.
Runs in: whichever process emits, mostly a web process; the relay reads and deletes the messages.
Writes: the log (StoredEvent, append-only) and the outbox (OutboxMessage).
"""
