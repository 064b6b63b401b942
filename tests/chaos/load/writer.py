"""Writer: a program that changes rows and emits, all the time, until SIGTERM. `python -m tests.chaos.load.writer NUMBER
RATE FOLDER`.

It keeps so many events under way and no more, so that the load is as high as the machine bears and not higher.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import deque
from pathlib import Path

import django

#: Numbers of one writer begin here, times its own number.
APART = 10_000_000
#: Echoes that one writer waits for at most: each comes after an event and has ECHO_EVERY - 1 more before it.
WINDOW = 30
#: Seconds that it waits for one of them: a frozen worker may hold it, and the others need events meanwhile.
PATIENCE = 10.0
#: The subscribers that take longest: what they have done, all have done or will soon.
SLOWEST = ("load.alone", "load.own_transactions")
#: Most events are calm; of a thousand, so many have another mood.
MOODS = {"once": 20, "twice": 10, "poison": 2, "hopeless": 2}
#: Moods that a fault asks for.
ON_DEMAND = ("stuck", "large")
#: Characters of an event of the mood "large": hardly any event may have more.
LARGE = 3_999_000


def main(number: int, rate: float, folder: Path) -> None:
    """Write about `rate` events a second; what is surely committed is noted in `folder`."""
    from django.db import DatabaseError, connection, transaction

    from events.bus import emit
    from tests.chaos.load.crash_points import wanted_mood
    from tests.chaos.load.events import Struck
    from tests.chaos.load.topics import ECHO_EVERY
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
    #: (number, when it was written).
    under_way: deque[tuple[int, float]] = deque()
    done = Effect.objects.filter(subscriber__in=SLOWEST)

    def have_room() -> bool:
        while len(under_way) > WINDOW:
            first, written = under_way[0]
            if time.monotonic() < written + PATIENCE and done.filter(number=first).count() < len(SLOWEST):
                return False
            under_way.popleft()
        return True

    with (folder / f"writer_{number}.committed").open("a") as committed:
        while not stopped:
            try:
                if not have_room():
                    time.sleep(0.05)
                    continue
                count = dice.choice((1, 1, 1, 2, 5, 20))
                numbers = [number * APART + position + offset for offset in range(count)]
                position += count
                asked_for = [mood for mood in ON_DEMAND if wanted_mood(folder, mood).exists()]
                wanted = [mood + "x" * LARGE if mood == "large" else mood for mood in asked_for[:count]]
                with transaction.atomic():
                    for one in numbers:
                        Effect.objects.create(subscriber="writer", number=one)
                        emit(
                            Struck(clock=one % 50, number=one, mood=wanted.pop() if wanted else dice.choice(moods)),
                            priority=dice.choice((0, 0, 0, 0, 0, 5)),
                        )
                    if dice.random() < 0.05:
                        raise UnwantedError
            except UnwantedError:
                continue
            except DatabaseError:
                # The database is away or the outcome unknown: these numbers are not used again.
                connection.close()
                time.sleep(0.05)
                continue
            for mood in asked_for[:count]:
                wanted_mood(folder, mood).unlink(missing_ok=True)
            committed.writelines(f"{one}\n" for one in numbers)
            committed.flush()
            under_way.extend((one, time.monotonic()) for one in numbers if one % ECHO_EVERY == 0)
            time.sleep(max(0.0, started + position / rate - time.monotonic()))
            if started + position / rate < time.monotonic() - 5:
                started = time.monotonic() - position / rate  # no rush after an outage


class UnwantedError(Exception):
    """A transaction that is rolled back: its events never were."""


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
