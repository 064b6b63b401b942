"""The one subscriber of the suite that workers in processes of their own have, too."""

import os
import signal

from django.db import transaction

from events.bus import subscriber
from tests.conformance.events import Witnessed
from tests.conformance.models import Mark


@subscriber(Witnessed, name="conformance.witness", max_retries=3, min_backoff=50, max_backoff=200)
def witness(event: Witnessed) -> None:
    """Leaves a mark. "last words" kills the process once the mark is committed and before it is acknowledged;
    "no words" kills it before the commit, in each attempt."""
    Mark.objects.create(
        subscriber="conformance.witness",
        event_id=event.meta.id,
        line=event.line,
        number=event.number,
        attempt=event.meta.attempt,
    )
    if event.text == "last words":
        transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    if event.text == "no words":
        os.kill(os.getpid(), signal.SIGKILL)
