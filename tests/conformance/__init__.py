"""Conformance: what any broker must do to carry events, and what each promises beyond it.

One more broker is one more entry in `candidates.py`: how to make its object, how a worker process is told of it, and
its features. A case that needs a feature the broker does not declare ends as "not promised". Nothing is de-duplicated
before it is counted; the counts of every case are printed at the end of the run.

The cases hold what watermill's and NServiceBus's suites for their transports ask, by other names:

    TestPublishSubscribe                every message arrives with its payload and attributes
    TestConcurrentSubscribe             many publishers and competing workers lose and invent nothing
    TestConcurrentSubscribeMultipleTopics   twenty topics at once each arrive whole
    TestPublishSubscribeInOrder         an only executor meets each line in order
    TestResendOnError                   refused messages come again
    TestNoAck                           the only executor gets the next message when the first is done
    TestContinueAfterSubscribeClose     workers closed and opened again go on where they were
    TestConcurrentClose                 ten workers opened and closed at once leave the next one whole
    TestContinueAfterErrors             after many failures a later worker gets every message
    TestPublisherClose                  a relay closed in the midst of publishing loses nothing
    TestTopic                           two topics do not mix
    TestMessageCtx                      the context of a message ends with it; a run over its time limit …
    TestSubscribeCtx                    what a closed worker gave back goes to the next
    TestReconnect                       broken connections lose nothing (the server's own restarts: tests/chaos)
    TestNewSubscriberReceivesOldMessages    a new subscriber gets old messages (by replay alone: not promised)
    TestConsumerGroups                  each of two groups gets everything
    TestPubSubStressTest                ten suites at once

    on error throws                     a failure that cannot be written down holds the message
    immediate and delayed retry         a retry at once and a delayed one each keep their time
    concurrency changed                 the number of running deliveries follows the pool while it runs
    stop during a message, an error     a worker stopped during a message …, while it records a failure …
    unicode                             text of every script arrives unchanged
    start after stop                    a worker started again after its stop works on
"""
