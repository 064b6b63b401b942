"""The events of the load."""

from events.bus import Event


class Struck(Event, topic="clock.struck", version=1, subject="clock/{clock}"):
    """A clock struck. `mood` says how its hearers behave; `number` is the writer's own count."""

    clock: int
    number: int
    mood: str = "calm"


class Echoed(Event, topic="clock.echoed", version=1, subject="clock/{clock}"):
    """What a subscriber emits in answer, in the transaction of its effect."""

    clock: int
    number: int
