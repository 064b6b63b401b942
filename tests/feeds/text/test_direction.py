"""Direction and language of a text, by its script."""

import pytest

from feeds.search.query import terms_of
from feeds.search.snippets import snippet
from feeds.text.closing import closed
from feeds.text.direction import isolated
from feeds.text.language import language_of
from feeds.text.parsed import parsed


@pytest.mark.parametrize("text", ["مرحبا", "שלום", "see \u202eexe.txt", "a\u200f"])
def test_what_has_a_direction_is_isolated(text):
    assert isolated(text) == f"\u2068{text}\u2069"


@pytest.mark.parametrize("text", ["", "hello", "你好", "привет", "हिन्दी", "😀"])
def test_what_runs_from_left_to_right_is_left_alone(text):
    assert isolated(text) == text


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("hello", ""),
        ("été", ""),
        ("привет", ""),
        ("123 …", ""),
        ("", ""),
        ("数据库系统", "zh"),
        ("用 PostgreSQL 的经验", "zh"),
        ("东京の旅行攻略和美食推荐", "zh"),
        ("東京都の図書館で", "ja"),
        ("データベース", "ja"),
        ("데이터베이스", "ko"),
        ("مرحبا بكم", "ar"),
        ("می‌خواهم کتاب بخوانم", "fa"),
        ("یہ اردو ہے", "ur"),
        ("שלום", "he"),
        ("हिन्दी", "hi"),
        ("ภาษาไทย", "th"),
        ("a review of the word 字 in English", ""),
        ("Καλημέρα", "el"),
    ],
)
def test_the_script_says_the_language_or_nothing(text, language):
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("see \u202etxt.exe", "see \u202etxt.exe\u202c"),
        ("a \u2067b\n\nc", "a \u2067b\u2069</p>\n<p"),
        ("a \u202bb\nc \u2066d", "a \u202bb\u202c<br>\nc \u2066d\u2069"),
        ("\u202ea *b \u2066c* d", "\u202ea <em>b \u2066c</em> d\u2069\u202c"),
        ("a `b\u202e` c", "a <code>b\u202e\u202c</code> c"),
        ("```\na\u202e\nb\u2066\n```", "a\u202e\u202c\nb\u2066\u2069\n"),
        ("    a\u202e\n", "a\u202e\u202c\n"),
        ("- a\u202e\n- b", "a\u202e\u202c</li>"),
        ("|a\u202e|b|\n|-|-|\n|c\u2066|d|", "a\u202e\u202c</th>"),
        ("![a\u202e](/i.png) b", ">a\u202e\u202c</a> b"),
        ("&#x202e;a", "\u202ea\u202c</p>"),
        ("a\u2069b\u202c c", "ab c</p>"),
        ("\u202b\u2066a\u202c\u2069b", "\u202b\u2066a\u2069b\u202c"),
        ("\u2067a\u202bb\u2069c", "\u2067a\u202bb\u2069c</p>"),
    ],
)
def test_a_change_of_direction_ends_with_its_line(text, html):
    assert html in parsed(text).html


def test_what_a_script_needs_is_left_as_it_is():
    for text in ("\u202bשלום abc\u202c, ok", "\u2068مرحبا\u2069!", "a\u200fb\u200e\u061c", "a"):
        assert parsed(text).words == text == closed(text)


def test_words_and_openings_and_snippets_have_no_open_end():
    text = f"\u202e{'word ' * 100}\n\nnext \u2066part"
    made = parsed(text)
    assert made.words.split("\n")[0].endswith("\u202c")
    assert made.words.endswith("\u2069")
    assert made.opening.endswith("…\u202c")
    assert str(snippet(text, terms_of("word"))).endswith("\u202c …")
    assert parsed("![" * 30_000 + "\u202e").html.endswith("\u202c</div>\n")


def test_each_block_of_an_arabic_text_has_a_direction_of_its_own():
    html = parsed("# مرحبا\n\nنص.\n\n- أ\n- b\n\n> قال\n\nEnglish\n\n> 1. Yes\n\n|أ|ب|\n|-|-|\n").html
    for part in (
        '<h1 dir="auto">',
        '<p dir="auto">نص',
        '<ul dir="rtl">',
        '<blockquote dir="rtl">\n<p dir="auto">',
        '<p dir="auto">Eng',
        '<blockquote dir="ltr">\n<ol dir="ltr">',
        '<table dir="rtl">',
    ):
        assert part in html
    assert "dir=" not in parsed("# Hello\n\n你好\n\n- a").html
