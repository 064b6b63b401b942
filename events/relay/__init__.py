"""From the outbox to the broker.

Promise: one relay is active at a time, for as long as it makes progress, the others stand by; new rows are published in
the order of commits per changed row.
Runs in: a process of its own under `rundramatiq`, and `manage.py relay`; a thread of `manage.py up` and of embedded
workers.
Writes: RelayTerm; the broker's courier deletes the outbox rows that were sent.
"""
