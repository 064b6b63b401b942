"""What became of each event at each subscriber.

Promise: exactly one effect. The record of a delivery commits in the transaction of its effect.
Runs in: worker threads, each delivery in a slot of the process's task pool.
Writes: Delivery (the inbox), Attempt, DeadLetter (a view of Delivery), and OutboxMessage for a retry.
"""
