"""Wording: the texts of people inside the sentence of a notice."""

import pytest

from notifications.notices import wording


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Tea", "bob posted “Tea”"),
        ("see \u202eexe.txt", "bob posted “\u2068see \u202eexe.txt\u2069”"),
        ("مرحبا", "bob posted “\u2068مرحبا\u2069”"),
        ("\u200b", "bob posted “(no title)”"),
    ],
)
def test_a_title_turns_nothing_around_it_and_can_be_read(title, said):
    assert wording.text("post", {"names": ["bob"], "count": 1, "title": title}) == said


def test_names_are_kept_apart():
    assert wording.who({"names": ["علي", "bob"], "count": 2}) == "\u2068علي\u2069 and bob"
