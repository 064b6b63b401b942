"""feeds: template tags and filters for times, Markdown, lists and threads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django import template
from django.http import QueryDict
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.timesince import timesince
from django.utils.translation import gettext

from feeds.text import markdown

register = template.Library()

#: Replies at this depth, and deeper ones, are indented alike.
MAX_INDENTED_DEPTH = 8
#: A comment with this score, or a lower one, begins folded.
FOLDED_SCORE = -4

register.filter("markdown", markdown.render)


@register.filter
@lru_cache(maxsize=2048)
def opening(text: str) -> str:
    """The first words of a Markdown text, up to 280 characters, for a list."""
    return Truncator(" ".join(markdown.plain(text[:2_000]).split())).chars(280)


@register.filter
def ago(moment: dt.datetime | None) -> str:
    """The time since then, in one unit; empty for None."""
    if moment is None:
        return ""
    if timezone.now() - moment < dt.timedelta(minutes=1):
        return gettext("just now")
    return gettext("%(time)s ago") % {"time": timesince(moment, depth=1)}


@register.filter
def tree(comments: Iterable[Any]) -> list[tuple[Any, str]]:
    """Pairs of a comment and a string with one character for each branch that ends before it, for the closing tags.

    The last pair is None and the branches that are still open.
    """
    rows: list[tuple[Any, str]] = []
    above: list[int] = []
    for comment in comments:
        still_open = [level for level in above if level < comment.depth]
        rows.append((comment, "." * (len(above) - len(still_open))))
        above = [*still_open, comment.depth]
    return [*rows, (None, "." * len(above))]


@register.filter
def is_deep(comment: Any) -> bool:
    """Whether its replies are not indented any further."""
    return bool(comment.depth >= MAX_INDENTED_DEPTH)


@register.filter
def is_folded(comment: Any) -> bool:
    """Whether it begins folded, for its low score."""
    return bool(comment.score <= FOLDED_SCORE)


@register.simple_tag(takes_context=True)
def here(context: dict[str, Any], **changes: str | None) -> SafeString | str:
    """The query string of this page with changes; None removes a parameter."""
    query: QueryDict = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = value
    return f"?{query.urlencode()}"


@register.simple_tag(takes_context=True)
def address(context: dict[str, Any]) -> str:
    """The path to return to after a form of this page was sent; empty after a POST."""
    request = context["request"]
    return request.get_full_path() if request.method in ("GET", "HEAD") else ""
