"""Callbacks: what subscribers hand to `transaction.on_commit`. One that fails is logged, and the others still run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dramatiq.middleware import Interrupt

from ..calling import name_of
from ..errors import summary, with_traceback
from ..event import Event
from ..log_context import Handled, delivery_facts, handled
from ..logger import get_logger
from ..subscription import Subscription

log = get_logger("events.delivery")


class Callback:
    """A callback that is known by the subscriber and the events in which it was registered."""

    def __init__(self, callback: Callable[[], Any], subscription: Subscription, events: Sequence[Event]) -> None:
        self._callback, self._handled = callback, Handled(subscription, events)

    def __call__(self) -> None:
        token = handled.set(self._handled)
        try:
            self._callback()
        except Interrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - its transaction is committed: nothing can be tried again
            log.error(
                "on_commit callback failed, it is not repeated",
                **{"topic": self._handled.events[0].topic, **delivery_facts()},
                callback=name_of(self._callback),
                error=summary(error),
                exception=with_traceback(error),
            )
        finally:
            handled.reset(token)


def isolate(connection: Any, *, start: int, subscription: Subscription, events: Sequence[Event]) -> int:
    """Make the callbacks from this place on robust; returns the place after the last one."""
    registered = connection.run_on_commit
    for place in range(start, len(registered)):
        savepoints, callback, *_ = registered[place]
        registered[place] = (savepoints, Callback(callback, subscription, events), False)
    return len(registered)
