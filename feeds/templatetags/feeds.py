"""feeds: template tags and filters for times, Markdown, lists and threads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import template
from django.http import QueryDict
from django.middleware.csrf import get_token
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince
from django.utils.translation import gettext, gettext_lazy

from feeds.lists.by_time import latest
from feeds.text.direction import isolated
from feeds.text.language import language_of
from feeds.text.parsed import parsed
from feeds.text.visible import shows_something
from feeds.views.access import address_back
from feeds.views.deeds import Deed, can_be_shown, kept

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

register = template.Library()

#: Replies at this depth, and deeper ones, are indented alike.
MAX_INDENTED_DEPTH = 8
#: A comment with this score, or a lower one, begins folded.
FOLDED_SCORE = -4


@register.filter
def markdown(text: str) -> SafeString:
    """A Markdown text that is stored without its HTML, as safe HTML."""
    return parsed(text).html


@register.filter
def visible(text: str) -> str:
    """A title or name, or "(no title)" for an old one that shows nothing."""
    return text if shows_something(text) else gettext("(no title)")


@register.filter
def written(text: str) -> SafeString:
    """The attributes of an element that holds a text of a person: its direction is its own, its language by script."""
    language = language_of(text)
    return mark_safe(f'dir="auto" lang="{language}"' if language else 'dir="auto"')


@register.filter(name="isolated")
def isolated_filter(text: str) -> str:
    """A text of a person inside a sentence or an attribute: its direction changes nothing around it."""
    return isolated(text)


@register.filter
def opening(text: str) -> str:
    """The first words of a Markdown text that is stored without its opening."""
    return parsed(text).opening


@register.filter
def ago(moment: dt.datetime | None) -> str:
    """The time since then, in one unit; the date if it is in the future; empty for None."""
    if moment is None:
        return ""
    if moment > latest():
        return date_format(moment, "DATE_FORMAT")
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
    """The path to return to after a form of this page was sent."""
    request = context["request"]
    if request.method not in ("GET", "HEAD"):
        return address_back(request, "").partition("#")[0]
    if context.get("sort") and "sort" not in request.GET and not request.user.is_authenticated:
        # A visitor's list is another than the one that is shown here after the sign-in.
        return f"{request.path}{here(context, sort=context['sort'])}"
    return request.get_full_path()  # type: ignore[no-any-return]


@register.simple_tag(takes_context=True)
def back_from_sign_in(context: dict[str, Any]) -> str:
    """The query string of a link to the sign-in, which leads back here; empty on the home page and at the sign-in."""
    request, match = context["request"], context["request"].resolver_match
    if request.method != "GET" or match is None or match.view_name in {"feeds:home", "feeds:login", "feeds:register"}:
        return ""
    return "?" + urlencode({"next": request.get_full_path()})


@register.simple_tag(takes_context=True)
def waiting(context: dict[str, Any]) -> StrOrPromise:
    """What waits for the sign-in, as a sentence; empty if nothing does."""
    deed = kept(context["request"])
    return "" if deed is None else deed.waiting


#: The labels of the fields in which people write.
WRITTEN = {
    "title": gettext_lazy("Title"),
    "body": gettext_lazy("Text"),
    "content": gettext_lazy("Your comment"),
    "name": gettext_lazy("Name"),
    "description": gettext_lazy("Description"),
}


@register.inclusion_tag("parts/sent.html", takes_context=True)
def sent(context: dict[str, Any]) -> dict[str, Any]:
    """What this request sent, in a form that sends it again; nothing unless a page of ours sent it."""
    request = context.get("request")
    if request is None or not can_be_shown(request):
        return {}
    deed = Deed.sent_with(request)
    fields = [(name, value) for name, values in deed.values.items() for value in values if name != "as"]
    return {
        "action": deed.address,
        "written": [(WRITTEN[name], name, value) for name, value in fields if name in WRITTEN],
        "others": [(name, value) for name, value in fields if name not in WRITTEN],
        "csrf_token": get_token(request),
    }
