"""The events of the test app."""

from events.bus import Event


class Rang(Event, topic="bell.rang", version=1, subject="bell/{number}"):
    """A bell rang. `mood` says how its hearers behave."""

    number: int
    mood: str = "calm"


class BalanceChanged(Event, topic="account.balance_changed", version=1, subject="account/{account_id}"):
    """An account's balance changed."""

    account_id: int
    before: int
    after: int


class Knocked(Event, topic="gate.knocked", version=1, subject="gate/{number}"):
    """Someone knocked at a gate that a test keeps."""

    number: int


class Walked(Event, topic="walk.walked", version=1, subject="walk/{number}"):
    """The walk with this number came to the step `at`, of so many `steps`. `seconds`: how long a step takes."""

    number: int
    steps: int
    at: int = 0
    seconds: float = 0.0
    mood: str = "calm"


class Said(Event, topic="word.said", version=1, subject="word/{number}", redactions={"text": "", "by": None}):
    """Someone said something, which may be erased."""

    number: int
    text: str
    by: str | None = None
