"""Breaker: how often a subscriber is tried that fails again and again."""

from __future__ import annotations

import time

from ..logger import get_logger
from ..subscription import Subscription

log = get_logger("events.delivery")

#: Failures in a row after which a subscriber is tried less often.
FAILURES_IN_A_ROW = 5
#: Seconds between two tries, at most.
LONGEST_PAUSE = 60.0


class Breaker:
    """Open while a subscriber is tried less often: then one message at a time may be tried, after a pause.

    The first pause is the subscriber's min_backoff; it doubles with each try that fails, up to its max_backoff or
    LONGEST_PAUSE. One success closes the breaker. Not safe for several threads by itself.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._failures = 0
        #: Seconds; 0 while the breaker is closed.
        self._pause = 0.0
        self._next_try = 0.0
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether the subscriber is tried less often."""
        return self._pause > 0

    @property
    def is_trying(self) -> bool:
        """Whether the one message of an open breaker is under way."""
        return self._is_trying

    def seconds_until_try(self) -> float:
        """Seconds until a message may be tried; 0 if one may be tried now."""
        return max(0.0, self._next_try - time.monotonic()) if self.is_open else 0.0

    def begin_try(self) -> None:
        """A message was handed out. If the breaker is open it is the one that is tried."""
        self._is_trying = self.is_open

    def end_try(self) -> None:
        """No message is under way any more."""
        self._is_trying = False

    def failed(self) -> None:
        """A call failed. While the breaker is open only the one that is tried counts: others began before."""
        self._failures += 1
        if self.is_open:
            if self._is_trying:
                self._is_trying = False
                self._put_off(self._pause * 2)
        elif self._failures >= FAILURES_IN_A_ROW:
            self._put_off(self._subscription.min_backoff / 1000)
            log.warning(
                f"tried less often: {self._failures} failures in a row, next try in {self._pause:g} s",
                subscriber=self._subscription.name,
            )

    def succeeded(self) -> None:
        """A call went well."""
        if self.is_open:
            log.warning(
                f"tried as often as before, after {self._failures} failures in a row",
                subscriber=self._subscription.name,
            )
        self._failures, self._pause, self._is_trying = 0, 0.0, False

    def _put_off(self, seconds: float) -> None:
        self._pause = min(seconds, self._subscription.max_backoff / 1000, LONGEST_PAUSE)
        self._next_try = time.monotonic() + self._pause
