"""Mentions: which names in a text count."""

import pytest

from feeds.text.mentions import mentions


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@alice, have a look", ("alice",)),
        ("thanks @alice and @bob!", ("alice", "bob")),
        ("(cc @alice)", ("alice",)),
        ("**@alice** said > @bob", ("alice", "bob")),
        ("> @alice\n\n* @bob\n\n# @carol", ("alice", "bob", "carol")),
        ("| a |\n|---|\n| @alice |", ("alice",)),
        ("@张三 你好", ("张三",)),
        ("谢谢@张三，再见", ("张三",)),
        ("@Жанна @josé_1 @x-y", ("Жанна", "josé_1", "x-y")),
        ("@alice's post", ("alice",)),
        ("@हिन्दी, @ไทย", ("हिन्दी", "ไทย")),
        ("@alice. @bob:", ("alice", "bob")),
    ],
)
def test_a_name_after_an_at_sign_is_a_mention(text, names):
    assert mentions(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "`@alice`",
        "```\n@alice\n```",
        "    @alice",
        "[@alice](https://example.com)",
        "[a @alice b][ref]\n\n[ref]: https://example.com",
        "![@alice](https://example.com/a.png)",
        "<https://example.com/@alice>",
        "https://example.com/@alice",
        "https://example.com/?user=@alice",
        "<alice@example.com>",
        "write to bob@example.com",
        "write to bob.@example.com or bob+@example.com",
        "@alice@example.com",
        "\\@alice",
        "@",
        "@ alice",
        "@@alice",
        "",
    ],
)
def test_code_links_and_addresses_mention_nobody(text):
    assert mentions(text) == ()


def test_each_person_is_mentioned_once_as_first_written_whatever_the_case():
    assert mentions("@Alice @bob @ALICE @alice") == ("Alice", "bob")


def test_at_most_ten_are_mentioned_in_order_of_appearance():
    text = " ".join(f"@user{n}" for n in reversed(range(12)))
    assert mentions(text) == tuple(f"user{n}" for n in range(11, 1, -1))


def test_a_name_longer_than_any_username_is_no_mention():
    assert mentions("@" + "a" * 30) == ("a" * 30,)
    assert mentions("@" + "a" * 31) == ()
