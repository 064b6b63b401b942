"""Markdown: the parser, and what is made of its tokens: safe HTML, or plain words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline, image
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from feeds.text.addresses import LONGEST, SCHEME, bare_address, may_be_linked
from feeds.text.closing import Line, closed
from feeds.text.direction import first_direction, has_direction
from feeds.text.flanking import FlankingParser
from feeds.text.mentions import linked, name_at
from feeds.text.scripts import is_unspaced

#: Raise it when the same text gives other HTML, words or mentions: `manage.py rerender` then makes them anew.
VERSION = 2
#: The plain sign and the full-width one.
AT_SIGNS = "@\uff20"
NO_MENTION_AFTER = f"/+-=.{AT_SIGNS}"
UNDERLINE = ord("_")
#: Marks of an open emphasis before a mention that are looked at.
MARKS_BEFORE = 8
#: A link that lost its address, since no browser could read it.
DEAD_LINK = re.compile(r'<a (?:title="[^"]*" )?rel="ugc nofollow">(.*?)</a>', re.DOTALL)
INLINE_TAGS = {"a", "br", "code", "em", "s", "strong"}
BLOCK_TAGS = {"blockquote", "hr", "li", "ol", "p", "pre", "ul"} | {f"h{level}" for level in range(1, 7)}
TABLE_TAGS = {"table", "tbody", "td", "th", "thead", "tr"}
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "td": {"style"}, "th": {"style"}}
#: Blocks that have a direction of their own, in a text that has words from right to left.
DIRECTED = {"p", "pre", "td", "th"} | {f"h{level}" for level in range(1, 7)}
#: Blocks around others. They have the direction of the first word in them, which a browser does not find in there.
SURROUNDING = {"blockquote", "ol", "table", "ul"}
DIRECTIONS = {tag: {"dir": {"auto"}} for tag in DIRECTED} | {tag: {"dir": {"ltr", "rtl"}} for tag in SURROUNDING}


def parse(text: str) -> list[Token]:
    """The text as Markdown tokens; an @name is a token of type "mention" whose content is the name."""
    return _parser.parse(text)


def to_html(tokens: Sequence[Token]) -> SafeString:
    """Safe HTML: raw HTML is shown as text, an image becomes a link, a mention links to its user."""
    html = nh3.clean(
        _parser.renderer.render(tokens, _parser.options, {}),
        tags=INLINE_TAGS | BLOCK_TAGS | TABLE_TAGS,
        attributes=ATTRIBUTES,
        tag_attribute_values=DIRECTIONS,
        allowed_classes={"a": {"mention"}},
        filter_style_properties={"text-align"},
        url_schemes={"http", "https", "mailto"},
        link_rel="ugc nofollow",
    )
    return mark_safe(DEAD_LINK.sub(r"\1", html))


def to_words(tokens: Iterable[Token]) -> str:
    """The words only, without syntax and link targets: for an index, a snippet or a notice."""
    return "\n".join(_words(tokens)).strip()


def mentioned(tokens: Iterable[Token]) -> Iterator[str]:
    """The names in the mentions. A name in code, a link, an image or an e-mail address is none."""
    return (token.content for block in tokens for token in block.children or () if token.type == "mention")


def _words(blocks: Iterable[Token]) -> Iterator[str]:
    for block in blocks:
        if block.type == "inline":
            yield _inline_words(block.children or ())
        elif block.type in ("fence", "code_block"):
            yield block.content.rstrip("\n")


def _inline_words(tokens: Sequence[Token]) -> str:
    words = []
    for token in tokens:
        if token.type == "image":
            words.append(_label(token))
        elif token.type == "mention":
            words.append(f"{token.markup}{token.content}")
        elif token.type in ("softbreak", "hardbreak"):
            words.append("\n")
        else:
            words.append(token.content)
    return "".join(words)


def _label(image: Token) -> str:
    """What is shown for an image: its text or, if it has none, its address."""
    return _inline_words(image.children or ()) or str(image.attrGet("src") or "")


def _mention(state: StateInline, silent: bool) -> bool:
    """An inline rule of the parser: @name, unless it stands in a link, an e-mail address or a path."""
    at = state.src[state.pos]
    if at not in AT_SIGNS or state.linkLevel > 0 or not _may_mention_after(state):
        return False
    name = name_at(state.src, state.pos + 1, state.posMax)
    if not name or state.src[state.pos + 1 + len(name) : state.pos + 2 + len(name)] in (*AT_SIGNS,):
        return False
    underlines = len(name) - len(name.rstrip("_"))
    if underlines and any(mark.marker == UNDERLINE for mark in state.delimiters[-MARKS_BEFORE:]):
        name = name.rstrip("_")  # they end an emphasis
    if not name:
        return False
    if not silent:
        token = state.push("mention", "", 0)
        token.content, token.markup = name, at
    state.pos += 1 + len(name)
    return True


def _may_mention_after(state: StateInline) -> bool:
    """Whether the text before an @ lets it begin a mention: no Latin word, no path, but an emphasis."""
    before = state.src[state.pos - 1] if state.pos else " "
    if before == "_":
        marks = state.delimiters
        return bool(marks) and marks[-1].open and marks[-1].token == len(state.tokens) - 1 and not state.pending
    return before not in NO_MENTION_AFTER and (not re.match(r"\w", before) or is_unspaced(before))


def _address(state: StateInline, silent: bool) -> bool:
    """An inline rule of the parser: an address that begins with http:// or https:// becomes a link. Bare domains stay
    text: README.md is no domain of Moldova.

    It reads at most LONGEST characters. markdown-it's own rules read the whole text at each "://".
    """
    if state.linkLevel > 0 or not state.src.startswith("://", state.pos):
        return False
    scheme = SCHEME.search(state.pending[-len("-https") :])
    if scheme is None:
        return False
    start = state.pos - len(scheme[0])
    shown = bare_address(state.src[start : min(start + LONGEST, state.posMax)])
    address = state.md.normalizeLink(shown)
    if len(shown) <= len(scheme[0]) + len("://") or not state.md.validateLink(address):
        return False
    if not silent:
        state.pending = state.pending[: -len(scheme[0])]
        state.push("link_open", "a", 1).attrs = {"href": address}
        state.push("text", "", 0).content = state.md.normalizeLinkText(shown)
        state.push("link_close", "a", -1)
    state.pos = start + len(shown)
    return True


def _image(state: StateInline, silent: bool) -> bool:
    """An inline rule of the parser: an image. It becomes a link, unless it stands in one."""
    found = image(state, silent)
    if found and not silent:
        state.tokens[-1].meta["in_link"] = state.linkLevel > 0
    return found


def _let_blocks_choose(state: StateCore) -> None:
    """A rule after the others: each block of a text with words from right to left has a direction of its own."""
    if not has_direction(state.src):
        return
    undecided: list[Token] = []
    for token in state.tokens:
        if token.nesting > 0 and token.tag in DIRECTED:
            token.attrSet("dir", "auto")
        elif token.nesting > 0 and token.tag in SURROUNDING:
            undecided.append(token)
        elif token.nesting < 0 and undecided and undecided[-1].tag == token.tag:
            undecided.pop()
        elif token.type == "inline" and undecided and (direction := first_direction(token.content)):
            for block in undecided:
                block.attrSet("dir", direction)
            undecided = []


def _close_directions(state: StateCore) -> None:
    """A rule after the inline ones: a change of direction ends with its line, and one in code with the code."""
    if state.src.isascii() and "&" not in state.src:
        return
    for block in state.tokens:
        if block.type in ("fence", "code_block"):
            block.content = closed(block.content)
        elif block.children:
            block.children = _with_lines_closed(block.children)


def _with_lines_closed(tokens: list[Token]) -> list[Token]:
    line, found = Line(), list[Token]()
    for token in [*tokens, None]:
        if (token is None or token.type in ("softbreak", "hardbreak")) and (missing := line.end()):
            found.append(Token("text", "", 0, content=missing))
        if token is None:
            break
        if token.type == "code_inline":
            token.content = closed(token.content)
        elif token.type == "image":
            token.children = _with_lines_closed(token.children or [])
        else:
            token.content = line.read(token.content)
        found.append(token)
    return found


def _show_links(state: StateCore) -> None:
    """A rule after the inline ones: a link that has no text shows its address."""
    for block in state.tokens:
        tokens = block.children or []
        for place in range(len(tokens) - 1, 0, -1):
            opening = tokens[place - 1]
            if opening.type == "link_open" and tokens[place].type == "link_close":
                tokens.insert(place, Token("text", "", 0, content=str(opening.attrGet("href"))))


def _render_mention(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    name, at = tokens[index].content, tokens[index].markup
    end = linked(name)
    return f'<a class="mention" href="/users/{quote(name)}">{at}{escape(name[:end])}</a>{escape(name[end:])}'


def _render_image(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    address, label = str(tokens[index].attrGet("src") or ""), _label(tokens[index])
    if tokens[index].meta["in_link"] or not address:
        return escape(label)
    return f'<a href="{escape(address)}">{escape(label)}</a>'


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        return super().validateLink(url) and may_be_linked(url)


def _build_parser() -> MarkdownIt:
    parser = _Parser()
    parser.inline = FlankingParser()
    parser.configure("commonmark", {"html": False, "breaks": True})
    parser.enable(["table", "strikethrough"])
    parser.inline.add_terminator_char(AT_SIGNS[1])
    parser.inline.ruler.at("image", _image)
    parser.core.ruler.push("show_links", _show_links)
    parser.core.ruler.push("close_directions", _close_directions)
    parser.core.ruler.push("let_blocks_choose", _let_blocks_choose)
    parser.inline.ruler.before("link", "mention", _mention)
    parser.inline.ruler.before("link", "address", _address)
    parser.add_render_rule("mention", _render_mention)
    parser.add_render_rule("image", _render_image)
    return parser


_parser = _build_parser()
