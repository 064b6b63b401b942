"""What an operator does, and what the system mends by itself: dead letters, replay, reconcile, topology, prune.

Promise: nothing is lost for good. Whatever was given up, missed or lost by the broker can be delivered again.
Runs in: the active relay's process (reconcile), management commands and the admin (the others); every worker announces
its subscriptions.
Writes: Subscription, Straggler, LogFloor; Delivery and OutboxMessage when something is delivered again.
"""
