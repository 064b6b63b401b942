"""Markdown: parse the text that people write, and render it as safe HTML or as plain words."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import quote

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from feeds.text.cjk import CHARACTER
from feeds.text.usernames import USERNAME_PATTERN

USERNAME = re.compile(rf"{USERNAME_PATTERN}(?![\w-])")
INLINE_TAGS = {"a", "br", "code", "em", "s", "strong"}
BLOCK_TAGS = {"blockquote", "hr", "li", "ol", "p", "pre", "ul"} | {f"h{level}" for level in range(1, 7)}
TABLE_TAGS = {"table", "tbody", "td", "th", "thead", "tr"}
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "td": {"style"}, "th": {"style"}}


def parse(text: str) -> list[Token]:
    """The text as Markdown tokens; an @name is a token of type "mention" whose content is the name."""
    return _parser.parse(text)


@lru_cache(maxsize=2048)
def render(text: str) -> SafeString:
    """Safe HTML: raw HTML is shown as text, an image becomes a link, a mention links to its user."""
    html = nh3.clean(
        _parser.render(text),
        tags=INLINE_TAGS | BLOCK_TAGS | TABLE_TAGS,
        attributes=ATTRIBUTES,
        allowed_classes={"a": {"mention"}},
        filter_style_properties={"text-align"},
        url_schemes={"http", "https", "mailto"},
        link_rel="ugc nofollow",
    )
    return mark_safe(html)


def plain(text: str) -> str:
    """The words only, without syntax and link targets: for an index, a snippet or a notice."""
    return "\n".join(_words(parse(text))).strip()


def _words(blocks: Iterable[Token]) -> Iterable[str]:
    for block in blocks:
        if block.type == "inline":
            yield _inline_words(block.children or ())
        elif block.type in ("fence", "code_block"):
            yield block.content.rstrip("\n")


def _inline_words(tokens: Sequence[Token]) -> str:
    words = []
    for token in tokens:
        if token.type == "image":
            words.append(_inline_words(token.children or ()))
        elif token.type == "mention":
            words.append(f"@{token.content}")
        elif token.type in ("softbreak", "hardbreak"):
            words.append("\n")
        else:
            words.append(token.content)
    return "".join(words)


def _mention(state: StateInline, silent: bool) -> bool:
    """An inline rule of the parser: @name, unless it stands in a link, an e-mail address or a path."""
    if state.src[state.pos] != "@" or state.linkLevel > 0:
        return False
    before = state.src[state.pos - 1] if state.pos else " "
    if before in "/@+-=." or (re.match(r"\w", before) and not CHARACTER.match(before)):
        return False
    name = USERNAME.match(state.src, state.pos + 1, state.posMax)
    if name is None or state.src[name.end() : name.end() + 1] == "@":
        return False
    if not silent:
        state.push("mention", "", 0).content = name[0]
    state.pos = name.end()
    return True


def _render_mention(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    name = tokens[index].content
    return f'<a class="mention" href="/users/{quote(name)}">@{escape(name)}</a>'


def _render_image(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    address = str(tokens[index].attrGet("src") or "")
    label = _inline_words(tokens[index].children or ()) or address
    return f'<a href="{escape(address)}">{escape(label)}</a>'


def _build_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": True, "breaks": True})
    parser.enable(["table", "strikethrough", "linkify"])
    assert parser.linkify is not None
    # Bare domains stay text: README.md is no domain of Moldova.
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
    parser.inline.ruler.before("link", "mention", _mention)
    parser.add_render_rule("mention", _render_mention)
    parser.add_render_rule("image", _render_image)
    return parser


_parser = _build_parser()
