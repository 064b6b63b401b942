"""Wording: the text and the link of a notice, from its kind and its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext, ngettext

from feeds.text.direction import isolated
from feeds.text.visible import shows_something
from notifications.notices.kind import KINDS


def text(kind_name: str, data: Mapping[str, Any]) -> str:
    """What the user reads, in the active language; for a kind that is no longer declared, its name."""
    kind = KINDS.get(kind_name)
    if kind is None:
        return kind_name
    form = kind.text
    if kind.text_on_comment is not None and data.get("comment_id"):
        form = kind.text_on_comment
    title = data.get("title", "")
    return str(form) % {"who": who(data), "title": isolated(title if shows_something(title) else gettext("(no title)"))}


def link(kind_name: str, data: Mapping[str, Any]) -> str:
    """The path that the notice leads to; for a kind that is no longer declared, the list of notices."""
    kind = KINDS.get(kind_name)
    return kind.link(data) if kind is not None else "/notifications"


def who(data: Mapping[str, Any]) -> str:
    """The people, from `names` and `count`: "A", "A and B" or "A and 12 others"."""
    names, count = [isolated(name) for name in data.get("names") or [gettext("Someone")]], data.get("count", 1)
    if count <= 1:
        return str(names[0])
    if count == 2 and len(names) == 2:
        return gettext("%(first)s and %(second)s") % {"first": names[0], "second": names[1]}
    others = ngettext("%(name)s and %(count)d other", "%(name)s and %(count)d others", count - 1)
    return others % {"name": names[0], "count": count - 1}
