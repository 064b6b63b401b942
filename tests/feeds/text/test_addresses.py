"""A bare address becomes a link up to its end, and no link is dead."""

import re

import pytest

from feeds.text.parsed import parsed


def links(text: str) -> list[str]:
    """The texts of the links."""
    return re.findall(r'<a href="[^"]+" rel="ugc nofollow">(.*?)</a>', parsed(text).html)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("看https://example.com/路径。下一句", ["https://example.com/路径"]),
        ("https://example.com/a、https://example.com/b", ["https://example.com/a", "https://example.com/b"]),
        ("（https://example.com/a）", ["https://example.com/a"]),
        ("《https://example.com/a》", ["https://example.com/a"]),
        ("「https://example.com/a」と", ["https://example.com/a"]),
        ("【https://example.com/a】", ["https://example.com/a"]),
        ("“https://example.com/a”。", ["https://example.com/a"]),
        ("«https://example.com/a»", ["https://example.com/a"]),
        *((f"https://example.com/a{sign}好", ["https://example.com/a"]) for sign in "，；：！？～｜…—"),
        ("https://example.com，很好", ["https://example.com"]),
        ("访问https://example.com吧", ["https://example.com"]),
        ("访问http://localhost:8000吧", ["http://localhost:8000"]),
        ("ไปที่https://example.comนะ", ["https://example.com"]),
        ("https://例子.中国/路径?问=值#锚，好", ["https://例子.中国/路径?问=值#锚"]),
        ("https://zh.wikipedia.org/wiki/北京_(城市)。", ["https://zh.wikipedia.org/wiki/北京_(城市)"]),
        ("https://fr.wikipedia.org/wiki/L’Équipe", ["https://fr.wikipedia.org/wiki/L’Équipe"]),
        ("**https://example.com/**中文", ["https://example.com/"]),
        ("**https://example.com/a**", ["https://example.com/a"]),
        ("~~https://example.com/a~~", ["https://example.com/a"]),
        ("_https://example.com/a_", ["https://example.com/a"]),
        ("https://example.com/a_b~c*d", ["https://example.com/a_b~c*d"]),
        ("https://", []),
        ("https://。", []),
    ],
)
def test_a_bare_address_ends_where_its_text_goes_on(text, found):
    assert links(text) == found


@pytest.mark.parametrize(
    "text",
    ["ftp://x", "<ftp://x>", "[a](ftp://x)", "[x](tel:1)", "![a](ftp://x)", "[a](http://)", "[a](http://b:99999)"],
)
def test_an_address_that_is_not_linked_makes_no_dead_link(text):
    assert "<a" not in parsed(text).html


def test_an_address_of_another_scheme_is_shown_as_it_was_written():
    assert parsed("<ftp://x> [a](ftp://x)").html == "<p>&lt;ftp://x&gt; [a](ftp://x)</p>\n"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("[![b](img)](link)", '<a href="link" rel="ugc nofollow">b</a>'),
        ("[![](img) c](link)", '<a href="link" rel="ugc nofollow">img c</a>'),
        ("[a ![b](img)][r]\n\n[r]: link", '<a href="link" rel="ugc nofollow">a b</a>'),
        ("[](link)", '<a href="link" rel="ugc nofollow">link</a>'),
        ("[a](link)![b](img)", '<a href="link" rel="ugc nofollow">a</a><a href="img" rel="ugc nofollow">b</a>'),
    ],
)
def test_a_link_keeps_its_address_whatever_it_shows(text, html):
    assert parsed(text).html == f"<p>{html}</p>\n"
