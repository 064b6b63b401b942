"""The event core: events that are written with the change, delivered asynchronously, and take effect exactly once.

The root holds the vocabulary; each folder is a station on the way of an event, from top to bottom:

    bus           declare, emit, subscribe: the public door
    outbox/       the event is written in the transaction of the change         the emitting process
    relay/        the active relay reads the outbox                             a thread of a worker
    brokers/      a courier moves it to the broker, a consumer takes it off     relay thread, consumer threads
    inbox/        the subscriber runs; record and effect commit together        worker threads
    repair/       what failed, was lost or is asked for again                   reconcile thread, an operator
    worker/       what one worker process starts and stops

Beside them: db/ (SQL), pool/ (the task pool), admin/ and management/ (for people), metrics, testing.
"""
