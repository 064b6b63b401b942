"""Markup: the HTML of posts, as Markdown."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import quote

from markdownify import ATX, MarkdownConverter

#: What may stand in the target of a Markdown link as it is; brackets and spaces would end it.
SAFE = "!#$%&'*+,/:;=?@[]~"


#: Its type hints know nothing of the methods that are there to be overridden.
Base: Any = MarkdownConverter


class Converter(Base):  # type: ignore[misc]
    """A link's target is one, whatever it holds; a picture in a link is its name, since no link can hold another."""

    def convert_a(self, el: Any, text: str, parent_tags: set[str]) -> str:
        if address := el.get("href"):
            el["href"] = quote(address, safe=SAFE)
        converted: str = super().convert_a(el, text, parent_tags)
        return converted

    def convert_img(self, el: Any, text: str, parent_tags: set[str]) -> str:
        el["src"] = quote(el.get("src") or "", safe=SAFE)
        name: str = self.escape(el.get("alt") or el["src"] or "…", parent_tags)
        converted: str = super().convert_img(el, text, parent_tags)
        return name if "a" in parent_tags else converted


def to_markdown(html: str) -> str:
    """HTML as Markdown that reads as the HTML did: what only looks like Markdown is escaped, and a line break in the
    source is a space."""
    converted: str = _converter().convert(html)
    return converted.strip()


@cache
def _converter() -> Converter:
    return Converter(heading_style=ATX, bullets="-", escape_misc=True, wrap=True, wrap_width=None)
