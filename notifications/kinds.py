"""Kinds: the one registry of what people are notified of. A kind is one entry: verb → text, link, who gets it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from feeds.models import Comment, Follow, Membership, Post, User
from notifications.notices.recipients import followers_with_bell, mentioned

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One verb.

    text: with %(who)s and %(title)s. link: the page it leads to. to: the ids of those who get it, from the row that it
    is about. rank: of several kinds about one thing the highest tells. grows: gathers names instead of ringing once.
    """

    name: str
    text: StrOrPromise
    link: Callable[[Mapping[str, Any]], str]
    to: Callable[[Any], Any]
    text_on_comment: StrOrPromise = ""
    rank: int = 0
    grows: bool = False


def to_writing(data: Mapping[str, Any]) -> str:
    """The post, or the comment in it."""
    anchor = f"#comment-{data['comment_id']}" if data.get("comment_id") else ""
    return f"/posts/{data['post_id']}{anchor}"


def to_person(data: Mapping[str, Any]) -> str:
    """The first one named."""
    return f"/users/{quote(data['names'][0])}"


def to_circle(data: Mapping[str, Any]) -> str:
    """The circle."""
    return f"/circles/{quote(data['circle'])}"


def author(writing: Post | Comment) -> Iterable[int]:
    """Who wrote it."""
    return [writing.author_id]


def newcomer(user: User) -> Iterable[int]:
    """Who registered."""
    return [user.pk]


def followed(follow: Follow) -> Iterable[int]:
    """Who is followed."""
    return [follow.followee_id]


def owner(membership: Membership) -> Iterable[int]:
    """Whose circle it is."""
    return [membership.circle.owner_id]


def author_of_post(comment: Comment) -> Iterable[int]:
    """Whose post was commented on."""
    return [comment.post.author_id]


def author_of_parent(comment: Comment) -> Iterable[int]:
    """Whose comment was answered."""
    return [comment.parent.author_id] if comment.parent is not None else []


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="welcome",
            text=_("Welcome to Airy! Follow people and join circles to fill your feed."),
            link=lambda data: "/",
            to=newcomer,
        ),
        Kind(name="post", text=_("%(who)s posted “%(title)s”"), link=to_writing, to=followers_with_bell),
        Kind(name="mention", text=_("%(who)s mentioned you in “%(title)s”"), link=to_writing, to=mentioned, rank=1),
        Kind(
            name="comment",
            text=_("%(who)s commented on “%(title)s”"),
            link=to_writing,
            to=author_of_post,
            rank=2,
        ),
        Kind(
            name="reply",
            text=_("%(who)s replied to your comment on “%(title)s”"),
            link=to_writing,
            to=author_of_parent,
            rank=3,
        ),
        Kind(
            name="vote",
            text=_("%(who)s upvoted “%(title)s”"),
            text_on_comment=_("%(who)s upvoted your comment on “%(title)s”"),
            link=to_writing,
            to=author,
            grows=True,
        ),
        Kind(name="follow", text=_("%(who)s followed you"), link=to_person, to=followed),
        Kind(name="circle", text=_("%(who)s joined %(title)s"), link=to_circle, to=owner),
    )
}


def who(data: Mapping[str, Any]) -> str:
    """The names: "A", "A and B" or "A and 12 others"."""
    names, count = data.get("names") or [gettext("Someone")], data.get("count", 1)
    if count <= 1:
        return str(names[0])
    if count == 2 and len(names) == 2:
        return gettext("%(first)s and %(second)s") % {"first": names[0], "second": names[1]}
    others = ngettext("%(name)s and %(count)d other", "%(name)s and %(count)d others", count - 1)
    return others % {"name": names[0], "count": count - 1}


def text(kind_name: str, data: Mapping[str, Any]) -> str:
    """What a notice says, in the active language. A kind that is no longer known says its name."""
    kind = KINDS.get(kind_name)
    if kind is None:
        return kind_name
    form = kind.text_on_comment if data.get("comment_id") and kind.text_on_comment else kind.text
    return str(form) % {"who": who(data), "title": data.get("title", "")}


def link(kind_name: str, data: Mapping[str, Any]) -> str:
    """Where a notice leads."""
    kind = KINDS.get(kind_name)
    return kind.link(data) if kind is not None else "/notifications"
