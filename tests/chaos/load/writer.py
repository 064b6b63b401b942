"""Writer: a program that changes rows and emits, all the time, until SIGTERM. `python -m tests.chaos.load.writer NUMBER
RATE FOLDER`."""

from __future__ import annotations

import random
import signal
import sys
import time
from pathlib import Path

import django

#: Numbers of one writer begin here, times its own number.
APART = 10_000_000
#: Most events are calm; of a thousand, so many have another mood.
MOODS = {"once": 20, "twice": 10, "poison": 2, "hopeless": 2}


def main(number: int, rate: float, folder: Path) -> None:
    """Write about `rate` events a second; what is surely committed is noted in `folder`."""
    from django.db import DatabaseError, connection, transaction

    from events.bus import emit
    from tests.chaos.load.events import Struck
    from tests.effects.models import Effect

    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    dice = random.Random(number)
    moods = [mood for mood, share in MOODS.items() for _ in range(share)]
    moods += ["calm"] * (1000 - len(moods))
    position, started = 0, time.monotonic()
    with (folder / f"writer_{number}.committed").open("a") as committed:
        while not stopped:
            count = dice.choice((1, 1, 1, 2, 5, 20))
            numbers = [number * APART + position + offset for offset in range(count)]
            position += count
            try:
                with transaction.atomic():
                    for one in numbers:
                        Effect.objects.create(subscriber="writer", number=one)
                        emit(
                            Struck(clock=one % 50, number=one, mood=dice.choice(moods)),
                            priority=dice.choice((0, 0, 0, 0, 0, 5)),
                        )
                    if dice.random() < 0.05:
                        raise Unwanted
            except Unwanted:
                continue
            except DatabaseError:
                # The database is away or the outcome unknown: these numbers are not used again.
                connection.close()
                time.sleep(0.05)
                continue
            committed.writelines(f"{one}\n" for one in numbers)
            committed.flush()
            time.sleep(max(0.0, started + position / rate - time.monotonic()))
            if started + position / rate < time.monotonic() - 5:
                started = time.monotonic() - position / rate  # no rush after an outage


class Unwanted(Exception):
    """A transaction that is rolled back: its events never were."""


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
