"""Writer: notes written at a steady pace, each in a transaction, while something else happens."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from django.db import connections

from feeds.models import User
from notifications.notices.notice import Mode, Notice
from notifications.notices.notices import notify
from tests.support.readers import Reader

#: Every so many notes, one changes instead of a new one: it takes a new number.
CHANGED = 5


class Writer:
    """A thread that writes to these users in turn. begun: when the note with a number of a user's was begun."""

    def __init__(self, users: Sequence[User], *, per_second: float) -> None:
        self._users, self._pause = users, 1 / per_second
        self._stopped = threading.Event()
        self.begun: dict[tuple[int, int], float] = {}
        #: Seconds that the slowest commit took, with what is done after it.
        self.slowest = 0.0
        self._error: BaseException | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write all the while. Raises what a write raised."""
        thread = threading.Thread(target=self._write, name="writer")
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        try:
            due = time.monotonic()
            for turn in itertools.count(1):
                for user in self._users:
                    if self._stopped.wait(max(0.0, due - time.monotonic())):
                        return
                    due = max(due + self._pause, time.monotonic() - 1)
                    begun = self.begun[user.pk, turn] = time.monotonic()
                    write(user, turn)
                    self.slowest = max(self.slowest, time.monotonic() - begun)
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            self._error = error
        finally:
            connections.close_all()

    def delays(self, readers: Iterable[Reader], *, since: float = 0.0, until: float = math.inf) -> list[float]:
        """Seconds from the beginning of each note until a reader had it, sorted; infinite if it has not.

        since, until: when the notes were begun.
        """
        began = {key: begun for key, begun in list(self.begun.items()) if since <= begun <= until}
        return sorted(
            reader.came.get(number, math.inf) - begun
            for reader in readers
            for (user_id, number), begun in began.items()
            if user_id == reader.user.pk
        )


def write(user: User, turn: int) -> None:
    """A note to a user, new or changed: either way it takes the user's next number."""
    changes = turn % CHANGED == 0
    notice = Notice(
        user_id=user.pk,
        kind="follow",
        key=f"follow/{turn - changes}",
        data={"names": ["bob"], "count": 1 + changes},
        mode=Mode.UPDATE_ONLY if changes else Mode.NOTIFY,
    )
    notify([notice])
