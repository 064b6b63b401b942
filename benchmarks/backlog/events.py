"""The event and the receiver of django-domain-events, whose relay imports this module."""

from dataclasses import dataclass

from django.conf import settings

from benchmarks.backlog.effects import clock

if "django_domain_events" in settings.PEERS:
    from django_domain_events import DURABLE, event, receiver

    @event
    @dataclass(frozen=True, slots=True)
    class Fired:
        """An event without an effect."""

        number: int
        author_id: int
        title: str

    @receiver(Fired, mode=DURABLE)
    def do_nothing(fired: Fired) -> None:
        """The no-op."""
        clock.count_effects()
