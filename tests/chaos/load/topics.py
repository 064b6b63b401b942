"""The topic of each subscriber of the load: the audit takes what it expects from here, not from the system under
test."""

TOPIC_OF = {
    "load.grouped": "clock.struck",
    "load.batched": "clock.struck",
    "load.tallied": "clock.struck",
    "load.moody": "clock.struck",
    "load.alone": "clock.echoed",
    "load.own_transactions": "clock.echoed",
}

#: Each event whose number is a multiple of this is answered by another event, an echo.
ECHO_EVERY = 5
