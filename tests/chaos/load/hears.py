"""What each subscriber of the load hears: the audit's expectations come from here, not from the system under test."""

HEARS = {
    "load.alone": "clock.struck",
    "load.grouped": "clock.struck",
    "load.batched": "clock.struck",
    "load.tallied": "clock.struck",
    "load.moody": "clock.struck",
    "load.own_transactions": "clock.struck",
    "load.echo_heard": "clock.echoed",
}
