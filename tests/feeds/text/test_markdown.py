"""Markdown is rendered as safe HTML."""

import re
from html.parser import HTMLParser

import pytest
from django.utils.safestring import SafeString
from hypothesis import given
from hypothesis import strategies as st

from feeds.text.markdown import BLOCK_TAGS, INLINE_TAGS, TABLE_TAGS
from feeds.text.parsed import parsed


def render(text: str) -> str:
    return parsed(text).html


def plain(text: str) -> str:
    return parsed(text).words


def test_the_usual_syntax_is_rendered():
    html = render(
        "# Title\n\nSome **bold**, *soft*, ~~gone~~ and `code`.\n\n- one\n- two\n\n> quoted\n\n```py\nx = 1\n```"
    )
    for part in (
        "<h1>Title</h1>", "<strong>bold</strong>", "<em>soft</em>", "<s>gone</s>", "<code>code</code>", "<li>one</li>",
        "<blockquote>", "<pre><code>x = 1\n</code></pre>",
    ):  # fmt: skip
        assert part in html


def test_the_html_is_marked_safe_for_templates():
    assert isinstance(render("hello"), SafeString)


def test_raw_html_is_shown_as_text():
    html = render("<script>alert(1)</script>\n\n<b onclick='x()'>hi</b> <!-- c -->")
    assert "<script" not in html
    assert "<b " not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html;base64,AAAA)",
        "[x](vbscript:x)",
        "![x](javascript:alert(1))",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
    ],
)
def test_a_link_cannot_run_a_script(text):
    assert "href" not in render(text)


def test_links_say_that_users_wrote_them():
    assert render("[x](https://example.com)") == '<p><a href="https://example.com" rel="ugc nofollow">x</a></p>\n'


def test_a_bare_address_becomes_a_link_and_a_file_name_does_not():
    html = render("see https://example.com/a?b=c, and README.md")
    assert '<a href="https://example.com/a?b=c" rel="ugc nofollow">https://example.com/a?b=c</a>, and README.md' in html


def test_an_image_becomes_a_link_so_that_no_stranger_sees_who_reads():
    html = render('![a "cat" by @alice](https://example.com/cat.png)')
    assert "<img" not in html
    assert '<a href="https://example.com/cat.png" rel="ugc nofollow">a "cat" by @alice</a>' in html
    assert ">https://example.com/cat.png</a>" in render("![](https://example.com/cat.png)")


def test_a_mention_links_to_the_user():
    assert 'href="/users/alice"' in render("hi @alice")
    assert ">@张三</a>" in render("你好 @张三")
    assert 'href="/users/%E5%BC%A0%E4%B8%89"' in render("你好 @张三")
    assert "<a" not in render("`@alice`")


def test_a_line_break_is_kept():
    assert "one<br>" in render("one\ntwo").replace(" />", ">")


def test_plain_text_has_the_words_without_the_syntax():
    text = "# Title\n\n**bold** [link](https://example.com) ![cat](x.png) @alice\n\n```\ncode\n```"
    assert plain(text) == "Title\nbold link cat @alice\ncode"


FRAGMENTS = [
    "<script>", "</script>", "<img src=x onerror=alert(1)>", "<a href='javascript:x'>", "[x](", "![", "](", ")", "<",
    ">", "`", "```\n", "javascript:alert(1)", "data:text/html,x", "https://a.b/", '"', "'", " onclick=x ", "&lt;",
    "&#106;", "\n\n", "    ", "* ", "> ", "@bob", "|a|\n|-|\n", "\\", "**", "_", "#", "\x00", "\u202e",
]  # fmt: skip


class Tags(HTMLParser):
    """Collects every tag and attribute of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, name, value or "") for name, value in attrs] or [(tag, "", "")]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_whatever_is_written_only_harmless_tags_come_out(text):
    for tag, name, value in Tags(render(text)).found:
        assert tag in INLINE_TAGS | BLOCK_TAGS | TABLE_TAGS
        assert name in ("", "href", "title", "rel", "class", "start", "style", "dir")
        scheme = re.match(r"\s*([a-z][a-z0-9+.-]*):", value, re.IGNORECASE) if name == "href" else None
        assert scheme is None or scheme[1].lower() in ("http", "https", "mailto")
