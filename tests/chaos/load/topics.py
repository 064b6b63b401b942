"""What each subscriber of the load hears: the audit's expectations come from here, not from the system under test."""

HEARS = {
    "load.grouped": "clock.struck",
    "load.batched": "clock.struck",
    "load.tallied": "clock.struck",
    "load.moody": "clock.struck",
    "load.alone": "clock.echoed",
    "load.own_transactions": "clock.echoed",
}

#: Every so many numbers an event is answered by one of its own, an echo.
ECHOED = 5
