"""Fixtures of the tests of feeds."""

from collections.abc import Callable

import pytest

from feeds.text import parsed
from tests.support.no_dead_letters import no_dead_letters_of

_no_dead_letters = no_dead_letters_of("feeds")


@pytest.fixture
def texts_parsed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The texts that the parser was given since the last question. What it made is forgotten at each question."""
    texts: list[str] = []
    parse = parsed.parse

    def noted(text: str) -> object:
        texts.append(text)
        return parse(text)

    def since_last_question() -> list[str]:
        parsed.remembered.clear()
        found, texts[:] = [*texts], []
        return found

    monkeypatch.setattr(parsed, "parse", noted)
    since_last_question()
    return since_last_question
