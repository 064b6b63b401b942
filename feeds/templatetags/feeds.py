"""Airy: how pages show times, Markdown, lists and threads."""

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

#: From this depth on answers are not indented any further.
DEEPEST = 8
#: Comments that score this low begin folded.
FOLDED = -4

register.filter("markdown", markdown.render)


@register.filter
@lru_cache(maxsize=2048)
def opening(text: str) -> str:
    """The first words of a Markdown text, as a list shows them."""
    return Truncator(" ".join(markdown.plain(text[:2_000]).split())).chars(280)


@register.filter
def ago(moment: dt.datetime | None) -> str:
    """How long ago, in one unit."""
    if moment is None:
        return ""
    if timezone.now() - moment < dt.timedelta(minutes=1):
        return gettext("just now")
    return gettext("%(time)s ago") % {"time": timesince(moment, depth=1)}


@register.filter
def tree(comments: Iterable[Any]) -> list[tuple[Any, str]]:
    """Each comment with one character for each branch that ends before it; at last None with the branches left open."""
    rows: list[tuple[Any, str]] = []
    above: list[int] = []
    for comment in comments:
        still_open = [level for level in above if level < comment.depth]
        rows.append((comment, "." * (len(above) - len(still_open))))
        above = [*still_open, comment.depth]
    return [*rows, (None, "." * len(above))]


@register.filter
def is_deep(comment: Any) -> bool:
    """Whether its answers are indented no further."""
    return bool(comment.depth >= DEEPEST)


@register.filter
def is_folded(comment: Any) -> bool:
    """Whether it begins folded: many found it bad."""
    return bool(comment.score <= FOLDED)


@register.simple_tag(takes_context=True)
def here(context: dict[str, Any], **changes: str | None) -> SafeString | str:
    """This page's query with changes; None leaves a parameter out."""
    query: QueryDict = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = value
    return f"?{query.urlencode()}"


@register.simple_tag(takes_context=True)
def address(context: dict[str, Any]) -> str:
    """Where to come back to after a form was sent from this page."""
    request = context["request"]
    return request.get_full_path() if request.method in ("GET", "HEAD") else ""
