"""Mentions: which names in a text count."""

import pytest

from feeds.text.mentions import candidates
from feeds.text.parsed import parsed


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
        ("ขอบคุณ@alice", ("alice",)),
        ("＠alice ＠张三", ("alice", "张三")),
        ("_@alice_ __@bob__ *@carol* ~~@dave~~", ("alice", "bob", "carol", "dave")),
        ("_thanks @alice_", ("alice",)),
        ("@alice_", ("alice_",)),
    ],
)
def test_a_name_after_an_at_sign_is_a_mention(text, names):
    assert parsed(text).mentions == names


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
        "＠＠alice",
        "@alice＠example.com",
        "snake_@alice",
        "foo__@alice__",
        "",
    ],
)
def test_code_links_and_addresses_mention_nobody(text):
    assert parsed(text).mentions == ()


def test_each_person_is_mentioned_once_as_first_written_whatever_the_case():
    assert parsed("@Alice @bob @ALICE @alice").mentions == ("Alice", "bob")


def test_at_most_ten_are_mentioned_in_order_of_appearance():
    text = " ".join(f"@user{n}" for n in reversed(range(12)))
    assert parsed(text).mentions == tuple(f"user{n}" for n in range(11, 1, -1))


def test_a_name_longer_than_any_username_is_no_mention():
    assert parsed("@" + "a" * 30).mentions == ("a" * 30,)
    assert parsed("@" + "a" * 31).mentions == ()
    assert parsed("@" + "a" * 31 + "处理").mentions == ()
    assert parsed("@anna" + "好" * 40).mentions == ("anna" + "好" * 26,)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("anna处理", "anna"),
        ("annaさん", "anna"),
        ("annaは", "anna"),
        ("anna的", "anna"),
        ("anna님", "anna"),
        ("annaครับ", "anna"),
        ("anna_1处理", "anna_1"),
        ("annaпривет", "anna"),
        ("anna_", "anna"),
        ("张三的文章", "张三"),
        ("田中さん", "田中"),
        ("林さん", "林"),
        ("データーさん", "データー"),
        ("김철수님", "김철수"),
        ("ａｎｎａ处理", "ａｎｎａ"),
    ],
)
def test_a_name_may_end_before_the_text_behind_it(name, meant):
    names = candidates(name)
    assert names[0] == name
    assert meant in names
    assert names == sorted(names, key=len, reverse=True)


@pytest.mark.parametrize("name", ["anna", "anna2", "a-b_c", "José", "हिन्दी", "张", "2024"])
def test_a_name_does_not_end_inside_a_word(name):
    assert candidates(name) == [name]


def test_a_name_of_one_chinese_character_is_not_found_in_a_longer_run():
    assert "张" not in candidates("张三的")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("@anna处理", '<a class="mention" href="/users/anna%E5%A4%84%E7%90%86" rel="ugc nofollow">@anna</a>处理'),
        ("＠张三", '<a class="mention" href="/users/%E5%BC%A0%E4%B8%89" rel="ugc nofollow">＠张三</a>'),
        ("_@anna_", '<em><a class="mention" href="/users/anna" rel="ugc nofollow">@anna</a></em>'),
    ],
)
def test_the_link_of_a_mention_names_all_that_may_be_the_name(text, html):
    assert parsed(text).html == f"<p>{html}</p>\n"
