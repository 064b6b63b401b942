"""The events of the suite: numbered notes, each on a line whose order can be checked."""

from pydantic import create_model

from events.bus import Event


class Noted(Event, topic="conformance.noted", version=1, subject="line/{line}"):
    """A note was taken: the `number`-th of its line."""

    line: int = 0
    number: int
    text: str = ""


class Painted(Event, topic="conformance.picture.painted", version=1, subject="line/{line}"):
    """Another topic, of three words."""

    line: int = 0
    number: int
    text: str = ""


class Followed(Event, topic="conformance.followed", version=1, subject="line/{line}"):
    """What a subscriber emits in answer."""

    line: int = 0
    number: int
    text: str = ""


class Spoken(Event, topic="conformance.spoken", version=1, subject="said/{text}"):
    """Any text, in the payload and in the subject."""

    line: int = 0
    number: int
    text: str = ""


class Witnessed(Event, topic="conformance.witnessed", version=1, subject="line/{line}"):
    """An event for workers in processes of their own."""

    line: int = 0
    number: int
    text: str = ""


#: Twenty topics that differ in nothing but their names.
TOPICS: tuple[type[Event], ...] = tuple(
    create_model(
        f"Topic{n}",
        __base__=Noted,
        __module__=__name__,
        __cls_kwargs__={"topic": f"conformance.many.topic_{n}"},
    )
    for n in range(20)
)
