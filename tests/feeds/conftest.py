"""Fixtures of the tests of feeds."""

from tests.support.no_dead_letters import no_dead_letters_of

_no_dead_letters = no_dead_letters_of("feeds")
