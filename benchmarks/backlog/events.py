"""django-domain-events: an event and its receiver; its relay finds them here."""

from dataclasses import dataclass

from django.conf import settings

from benchmarks.backlog.effects import clock

if "django_domain_events" in settings.PEERS:
    from django_domain_events import DURABLE, event, receiver

    @event
    @dataclass(frozen=True, slots=True)
    class Fired:
        """An event that nobody does anything about."""

        number: int
        author_id: int
        title: str

    @receiver(Fired, mode=DURABLE)
    def do_nothing(fired: Fired) -> None:
        """The no-op."""
        clock.tick()
