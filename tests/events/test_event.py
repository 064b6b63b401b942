"""Event: declaration, equality, subject."""

import pytest
from pydantic import ValidationError

from events.bus import Event
from tests.effects.events import Rang


def test_an_event_is_frozen_and_strict() -> None:
    event = Rang(number=1)
    with pytest.raises(ValidationError, match="frozen"):
        event.number = 2
    with pytest.raises(ValidationError, match="valid integer"):
        Rang(number="1")
    with pytest.raises(ValidationError, match="Extra inputs"):
        Rang(number=1, volume=3)


def test_events_of_equal_fields_are_equal() -> None:
    assert Rang(number=1) == Rang(number=1)
    assert Rang(number=1) != Rang(number=2)
    assert len({Rang(number=1), Rang(number=1)}) == 1


def test_the_subject_is_built_from_the_fields() -> None:
    assert Rang(number=7).subject_text == "bell/7"


def test_a_field_that_is_not_plain_is_refused_at_declaration() -> None:
    with pytest.raises(TypeError, match="tuples of these, not lists"):

        class Listed(Event, topic="test.listed"):
            ids: list[int]


def test_a_subject_that_names_no_field_is_refused_at_declaration() -> None:
    with pytest.raises(TypeError, match="names 'nobody'"):

        class Nameless(Event, topic="test.nameless", subject="x/{nobody}"):
            number: int


def test_a_topic_has_one_class_per_version() -> None:
    with pytest.raises(TypeError, match=r"is declared by tests\.effects\.events\.Rang"):

        class Usurper(Event, topic="bell.rang", version=1):
            number: int


def test_an_event_that_was_not_received_has_no_meta() -> None:
    with pytest.raises(LookupError, match="only a delivered event"):
        _ = Rang(number=1).meta
