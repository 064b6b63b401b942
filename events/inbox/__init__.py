"""What became of each event at each subscriber.

Promise: exactly one effect. The record of a delivery commits in the transaction of its effect.
Runs in: worker threads, each delivery in a slot of the process's task pool.
Writes: Delivery (the inbox), Attempt, AttemptSubject, DeadLetter (a view of Delivery), StaleEvent; OutboxMessage for a
retry; the redacted rows of StoredEvent.
"""
