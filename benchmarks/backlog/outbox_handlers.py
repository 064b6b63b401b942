"""The handler of django-reliable-outbox, whose worker imports this module."""

from reliable_outbox import Envelope, handler

from benchmarks.backlog.effects import clock


@handler("backlog.nothing")
def do_nothing(envelope: Envelope) -> None:
    """The no-op."""
    clock.count_effects()
