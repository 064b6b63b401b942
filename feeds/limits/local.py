"""Local counts: the counts of this process alone, in a bounded number of keys.

Each rate of a client is one number: the moment at which the client will have paid for all its requests, at the rate's
pace (the generic cell rate algorithm, GCRA). A request moves it on by one interval; it may not lie further ahead than
the seconds of the rate. A moment that is past says nothing any more, so its key can be forgotten.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

#: At most so many requests at once, and so many in so many seconds on average.
Rate = tuple[int, int]
#: The share of an interval by which a request may be early: clocks are not exact.
EARLY = 0.01


class LocalCounts:
    """Counts in this process. When `most_keys` are in use, new clients share OVERFLOW keys: nobody gets new tries by
    crowding others out."""

    OVERFLOW = 1024
    #: Seconds between two searches for keys that can be forgotten.
    SWEEP = 1.0

    def __init__(self, *, most_keys: int = 50_000) -> None:
        self._paid_at: dict[str, float] = {}
        self._most_keys = most_keys
        self._lock = threading.Lock()
        self._next_sweep = 0.0

    def __len__(self) -> int:
        return len(self._paid_at)

    def spend(self, key: str, rates: Iterable[Rate]) -> float:
        """Count one request at all rates. Returns 0 or, if one refuses it, the seconds to wait; then none counts it."""
        now = time.monotonic()
        with self._lock:
            paid_at: dict[str, float] = {}
            wait = 0.0
            for most, seconds in rates:
                place = self._place(f"{key}/{seconds}", now)
                paid_at[place] = max(self._paid_at.get(place, now), now) + seconds / most
                if (ahead := paid_at[place] - now - seconds) > EARLY * seconds / most:
                    wait = max(wait, ahead)
            if not wait:
                self._paid_at |= paid_at
            return wait

    def give_back(self, key: str, rates: Iterable[Rate]) -> None:
        """Take one counted request back."""
        with self._lock:
            for most, seconds in rates:
                place = f"{key}/{seconds}"
                if place in self._paid_at:
                    self._paid_at[place] -= seconds / most

    def _place(self, key: str, now: float) -> str:
        """Where a key is counted: by itself, or in a shared place if there is no room."""
        if key in self._paid_at or len(self._paid_at) < self._most_keys:
            return key
        if now >= self._next_sweep:
            self._next_sweep = now + self.SWEEP
            self._paid_at = {place: moment for place, moment in self._paid_at.items() if moment > now}
            if len(self._paid_at) < self._most_keys:
                return key
        return f"overflow/{key.rpartition('/')[2]}/{hash(key) % self.OVERFLOW}"
