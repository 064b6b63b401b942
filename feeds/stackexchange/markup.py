"""Markup: the HTML of posts, as Markdown."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any
from urllib.parse import quote

from bs4 import BeautifulSoup, ParserRejectedMarkup
from markdownify import ATX, MarkdownConverter

#: Characters that stay as they are in the target of a Markdown link; spaces and parentheses would end it.
SAFE_CHARACTERS = "!#$%&'*+,/:;=?@[]~"
#: Elements deeper than this are read as their text: the converter recurses, and Markdown shows 20 levels at most.
DEEPEST = 16
#: What a table consists of. Markdown has no table in a table.
TABLE = {"table", "thead", "tbody", "tfoot", "tr", "td", "th"}
#: Longer numbers of lists and cells are left out.
DIGITS = 6

#: Typed as Any: the type hints of the library lack the methods that subclasses override.
Base: Any = MarkdownConverter


class Converter(Base):  # type: ignore[misc]
    """Quotes the targets of links. An image in a link becomes its name, since Markdown links cannot contain links."""

    def convert_a(self, el: Any, text: str, parent_tags: set[str]) -> str:
        if address := el.get("href"):
            el["href"] = quote(address, safe=SAFE_CHARACTERS)
        converted: str = super().convert_a(el, text, parent_tags)
        return converted

    def convert_img(self, el: Any, text: str, parent_tags: set[str]) -> str:
        el["src"] = quote(el.get("src") or "", safe=SAFE_CHARACTERS)
        name: str = self.escape(el.get("alt") or el["src"] or "…", parent_tags)
        converted: str = super().convert_img(el, text, parent_tags)
        return name if "a" in parent_tags else converted


class ShallowSoup(BeautifulSoup):
    """A tree of elements of at most DEEPEST levels. An element that would be deeper is only its text, on its own line,
    and so is a table in a table.

    Numbers of lists and cells that the converter could not read are left out.
    """

    def reset(self) -> None:
        super().reset()
        self._left_out: Counter[str] = Counter()

    def handle_starttag(self, name: str, namespace: Any, nsprefix: Any, attrs: Any, *args: Any, **kwargs: Any) -> Any:
        if self._is_left_out(name):
            self._left_out[name] += 1
            self.handle_data("\n")
            return None
        attrs = {
            key: text for key, text in attrs.items() if key not in ("start", "colspan") or _is_short_number(text or "")
        }
        return super().handle_starttag(name, namespace, nsprefix, attrs, *args, **kwargs)

    def handle_endtag(self, name: str, nsprefix: str | None = None) -> None:
        if self._left_out[name]:
            self._left_out[name] -= 1
            self.handle_data("\n")
            return
        super().handle_endtag(name, nsprefix)

    def _is_left_out(self, name: str) -> bool:
        if len(self.tagStack) > DEEPEST:
            return not self.builder.can_be_empty_element(name)
        return name in TABLE and bool(self._left_out["table"] or (name == "table" and self.open_tag_counter["table"]))


def _is_short_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= DIGITS


def to_markdown(html: str) -> str:
    """HTML as Markdown that is rendered like the HTML.

    Text that looks like Markdown is escaped, and a line break in the source is a space.
    """
    converted: str = _converter().convert_soup(_parsed(html))
    return converted.strip()


def _parsed(html: str) -> BeautifulSoup:
    try:
        return ShallowSoup(html, "html.parser")
    except ParserRejectedMarkup:  # a declaration such as <![x[ that is none
        return ShallowSoup(html.replace("<!", "&lt;!"), "html.parser")


@cache
def _converter() -> Converter:
    return Converter(heading_style=ATX, bullets="-", escape_misc=True, wrap=True, wrap_width=None)
