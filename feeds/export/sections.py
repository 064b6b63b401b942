"""Sections: what the archive has of feeds, and what of feeds and Django it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import F, QuerySet

from feeds.export import items
from feeds.export.section import ROWS_AT_ONCE, Section
from feeds.models import Follow


def in_pieces(rows: QuerySet[Any]) -> Iterator[Any]:
    """The rows in the order of their ids, some at a time."""
    return rows.order_by("pk").iterator(chunk_size=ROWS_AT_ONCE)


def named(rows: QuerySet[Any], relation: str) -> Iterator[Any]:
    """The rows, with the username of the person that the relation leads to."""
    return in_pieces(rows.annotate(username=F(f"{relation}__username")))


SECTIONS = (
    Section(
        name="posts",
        item=items.ArchivedPost,
        rows=lambda user: in_pieces(user.posts.select_related("circle")),
        relations=("feeds.Post.author",),
    ),
    Section(
        name="comments",
        item=items.ArchivedComment,
        rows=lambda user: in_pieces(user.comments.all()),
        relations=("feeds.Comment.author",),
    ),
    Section(
        name="votes",
        item=items.ArchivedVote,
        rows=lambda user: in_pieces(user.votes.all()),
        relations=("feeds.Vote.user",),
    ),
    Section(
        name="following",
        item=items.ArchivedFollow,
        rows=lambda user: named(Follow.objects.filter(follower=user), "followee"),
        relations=("feeds.Follow.follower",),
    ),
    Section(
        name="followers",
        item=items.ArchivedPerson,
        rows=lambda user: named(Follow.objects.filter(followee=user), "follower"),
        relations=("feeds.Follow.followee",),
    ),
    Section(
        name="circles",
        item=items.ArchivedCircle,
        rows=lambda user: in_pieces(user.owned_circles.all()),
        relations=("feeds.Circle.owner",),
    ),
    Section(
        name="memberships",
        item=items.ArchivedMembership,
        rows=lambda user: in_pieces(user.memberships.select_related("circle")),
        relations=("feeds.Membership.user",),
    ),
    Section(
        name="blocks",
        item=items.ArchivedPerson,
        rows=lambda user: named(user.blocks.all(), "target"),
        relations=("feeds.Block.user",),
    ),
    Section(
        name="mutes",
        item=items.ArchivedPerson,
        rows=lambda user: named(user.mutes.all(), "target"),
        relations=("feeds.Mute.user",),
    ),
    Section(
        name="tokens",
        item=items.ArchivedToken,
        rows=lambda user: in_pieces(user.tokens.all()),
        relations=("feeds.ApiToken.user",),
    ),
    Section(
        name="second_factor",
        item=items.ArchivedFactor,
        rows=lambda user: in_pieces(user.factors.all()),
        relations=("feeds.SecondFactor.user",),
    ),
    Section(
        name="sessions",
        item=items.ArchivedSession,
        rows=lambda user: in_pieces(user.sessions.alive()),
        relations=("feeds.UserSession.user",),
    ),
)

#: Relations to a user that are in no section, and why.
LEFT_OUT = {
    "feeds.Block.target": "who blocks someone is known to the one who blocks alone",
    "feeds.Mute.target": "who mutes someone is known to the one who mutes alone",
    "feeds.Post.removed_by": "which moderator removed a text: the reason is in the archive of its author",
    "feeds.Comment.removed_by": "which moderator removed a text: the reason is in the archive of its author",
    "feeds.FeedEntry.user": "a copy: the feed follows from follows and memberships",
    "feeds.ReservedName.user": "digests of former names, which say nothing",
    "feeds.UserLook.holder": "made of the name, which is in the archive",
    "feeds.Uncounted.user": "exists for seconds: the votes and comments that it counts are in the archive",
    "feeds.SentForm.user": "digests, kept for a day: what the forms made is in the archive",
    "feeds.User_groups.user": "the rights of staff, which belong to the site",
    "feeds.User_user_permissions.user": "the rights of staff, which belong to the site",
    "admin.LogEntry.user": "what staff did in the admin, which belongs to the site",
}
