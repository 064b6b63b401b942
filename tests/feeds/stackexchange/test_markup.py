"""The importer turns HTML into Markdown that is rendered like the HTML."""

import re

import pytest

from feeds.stackexchange.markup import to_markdown
from feeds.text.parsed import parsed

SAME = {
    "emphasis": "<p>Some <em>good</em> and <strong>better</strong> soil.</p>",
    "a list": "<ul>\n<li>spade</li>\n<li>rake</li>\n</ul>",
    "a list in a list": "<ol>\n<li>tools\n<ul>\n<li>spade</li>\n</ul>\n</li>\n<li>seeds</li>\n</ol>",
    "a quotation": "<blockquote>\n<p>Sow in <em>May</em>.</p>\n</blockquote>\n<p>Do.</p>",
    "a heading": "<h2>In spring</h2>\n<p>Wait.</p>",
    "code": "<p>Call <code>grow(*seeds)</code>.</p>",
    "a block of code": "<pre><code>def grow():\n    # not yet\n    return `*`\n</code></pre>",
    "a rule": "<p>One</p>\n<hr>\n<p>Two</p>",
    "a line break": "<p>One<br>\nTwo</p>",
    "a table": (
        "<table>\n<thead>\n<tr>\n<th>Month</th>\n<th>Work</th>\n</tr>\n</thead>\n"
        "<tbody>\n<tr>\n<td>May</td>\n<td>sow</td>\n</tr>\n</tbody>\n</table>"
    ),
    "what only looks like Markdown": "<p>2 * 3 * 4, snake_case_name, # one, 1. two, - three, `four, [five](six)</p>",
    "a number at the start": "<p>1. is not a list</p>",
    "a hash at the start": "<p># is no heading</p>",
    "what only looks like HTML": "<p>List&lt;int&gt; &amp;amp; &lt;b&gt;</p>",
    "a mention of somebody elsewhere": "<p>As <em>Anna</em> says</p>",
}


def shape(html: str) -> str:
    """HTML without the parts that are not visible."""
    html = re.sub(r"<br ?/?>", "<br>", html.replace("<hr />", "<hr>").replace("&quot;", '"'))
    return re.sub(r"\s+", " ", re.sub(r"\s*(</?(?:p|li|ul|ol|br|hr|blockquote|pre|t\w+|h\d)>)\s*", r"\1", html)).strip()


@pytest.mark.parametrize("html", SAME.values(), ids=SAME.keys())
def test_html_reads_the_same_as_markdown(html):
    assert shape(parsed(to_markdown(html)).html) == shape(html)


def test_a_line_break_in_the_source_is_a_space():
    assert to_markdown("<p>one\ntwo\n  three</p>") == "one two three"


def test_a_link_keeps_its_target_whatever_it_holds():
    address = "https://example.org/wiki/Rose_(plant) x"
    html = parsed(to_markdown(f'<p>See <a href="{address}">[the] rose</a>.</p>')).html
    assert 'href="https://example.org/wiki/Rose_%28plant%29%20x"' in html
    assert ">[the] rose</a>." in html


def test_a_picture_is_kept_and_in_a_link_it_is_its_name():
    assert (
        to_markdown('<img src="https://example.org/a b.png" alt="A rose">')
        == "![A rose](https://example.org/a%20b.png)"
    )
    linked = '<a href="https://example.org/"><img src="https://example.org/a.png" alt="A rose"></a>'
    assert to_markdown(linked) == "[A rose](https://example.org/)"


def test_marks_without_markdown_are_their_text():
    assert to_markdown("<p>H<sub>2</sub>O, 2<sup>nd</sup>, <u>well</u></p>") == "H2O, 2nd, well"
