"""claim: a command that starts relay or workers does not start where another installation's messages are."""

from __future__ import annotations

from django.core.management.base import CommandError

from ..brokers.contract import ClaimError, EventBroker
from ..worker.installation import installation_id


def claim(broker: EventBroker) -> None:
    """Raises CommandError if the broker has the marks of another installation, with the cure."""
    try:
        if not broker.in_process:
            broker.claim(installation_id())
    except ClaimError as error:
        raise CommandError(str(error)) from None
