"""Budget: no text costs much more than prose of its length, and nothing of it is lost."""

from __future__ import annotations

import time

import pytest

from feeds.text.budget import BUDGET, cost, within_budget
from feeds.text.parsed import MAX_GROWTH, OPENING_READ, _parsed, parsed
from tests.support.dear_texts import DEAR, LENGTH, PROSE, RICH, random_texts


def processor_time(text: str) -> float:
    times = []
    for _ in range(3):
        began = time.process_time()
        _parsed(text)
        times.append(time.process_time() - began)
    return min(times)


@pytest.mark.parametrize("text", DEAR, ids=lambda text: repr(text[:20]))
def test_no_text_costs_much_more_than_prose_of_its_length(text):
    read, rest = within_budget(text)
    assert read + rest == text
    assert cost(read) <= BUDGET
    assert processor_time(text) <= 12 * processor_time(PROSE)


@pytest.mark.parametrize("text", [*DEAR, *random_texts(20, seed=1)], ids=lambda text: repr(text[:20]))
def test_no_text_becomes_a_page_out_of_proportion(text):
    assert len(parsed(text).html) <= MAX_GROWTH * LENGTH


@pytest.mark.parametrize("text", [PROSE, RICH])
def test_prose_is_read_to_its_end(text):
    assert within_budget(text) == (text, "")


def test_what_is_beyond_the_budget_is_shown_and_found_as_it_was_written():
    html, words, _, mentions = parsed("**bold** @alice\n" + "|<b>\n" * 7_000 + "**last** @bob\n")
    assert html.startswith("<p><strong>bold</strong>")
    assert html.endswith("|&lt;b&gt;\n**last** @bob\n</div>\n")
    assert words.endswith("**last** @bob")
    assert mentions == ("alice",)


def test_the_text_is_cut_at_the_end_of_a_line_unless_a_line_is_long():
    read, rest = within_budget("a|b\n-|-\n" + "|\n" * 19_000)
    assert read.endswith("\n")
    assert rest.startswith("|\n")
    read, rest = within_budget("![" * 20_000)
    assert 1_000 < len(read) < 20_000


def test_a_text_whose_html_would_be_out_of_proportion_is_shown_as_it_was_written():
    text = "@张三 " * 3_000 + "**&**"
    html, words, _, mentions = parsed(text)
    assert html == '<div class="as-written" dir="auto">' + "@张三 " * 3_000 + "**&amp;**</div>\n"
    assert (words, mentions) == (text, ("张三",))


def test_an_opening_is_short_whatever_the_words_are():
    assert parsed("Two\n\n*words*").opening == "Two words"
    assert len(parsed("word " * 8_000).opening) == 280
    assert len(parsed("a" + "\u0301" * 39_999).opening) <= OPENING_READ
