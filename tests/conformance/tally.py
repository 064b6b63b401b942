"""Tally: every message that a broker hands to a subscriber, counted before anything is de-duplicated."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from dramatiq.broker import Broker
from dramatiq.middleware import Middleware


class Handed(NamedTuple):
    """One message as it was handed out: whom to, and for which attempt."""

    subscriber: str
    event_id: str
    run: str
    attempt: str


class Tally(Middleware):
    """Appends a line per handed out message to a file, so that what a killed process was handed is counted, too."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = os.open(path or os.environ["AIRY_TEST_TALLY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def before_process_message(self, broker: Broker, message: Any) -> None:
        lines = [
            f"{message.actor_name} {arrival.event_id} {arrival.run} {arrival.attempt}\n" for arrival in message.messages
        ]
        os.write(self._file, "".join(lines).encode())


def counted(path: Path) -> Counter[Handed]:
    """How often each message was handed out."""
    return Counter(Handed(*line.split()) for line in path.read_text().splitlines()) if path.exists() else Counter()
