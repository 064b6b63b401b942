"""Between the outbox and the worker: one contract, and the brokers that fulfil it.

Promise: at least once. A message that was not acknowledged is delivered again, and marked as redelivered. A broker of
your own is one class: see `contract.py`.
Runs in: the relay (couriers) and the consumer threads of a worker (consumers).
Writes: OutboxMessage (rows that were sent are deleted), and dead letters of subscribers that do not exist.
"""
