"""django-reliable-outbox: a handler; its worker finds it here."""

from reliable_outbox import Envelope, handler

from benchmarks.backlog.effects import clock


@handler("drained.nothing")
def do_nothing(envelope: Envelope) -> None:
    """The no-op."""
    clock.tick()
