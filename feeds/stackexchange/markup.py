"""Markup: the HTML of posts, as Markdown."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import quote

from markdownify import ATX, MarkdownConverter

#: Characters that stay as they are in the target of a Markdown link; spaces and parentheses would end it.
SAFE_CHARACTERS = "!#$%&'*+,/:;=?@[]~"


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


def to_markdown(html: str) -> str:
    """HTML as Markdown that is rendered like the HTML.

    Text that looks like Markdown is escaped, and a line break in the source is a space.
    """
    converted: str = _converter().convert(html)
    return converted.strip()


@cache
def _converter() -> Converter:
    return Converter(heading_style=ATX, bullets="-", escape_misc=True, wrap=True, wrap_width=None)
