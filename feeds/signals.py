"""Signals: the one table "model change → event"."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from django.db import models
from django.db.models.signals import post_delete, post_save

from events.bus import Event, emit, emit_many
from feeds import events
from feeds.models import Comment, Entity, Follow, Membership, Post, Uncounted, User, Vote

#: A row before or after a change; None where there is none.
Row = Any


def added(before: Row, after: Row) -> bool:
    return before is None and after is not None


def removed(before: Row, after: Row) -> bool:
    return before is not None and after is None


def shown(before: Row, after: Row) -> bool:
    return not _visible(before) and _visible(after)


def hidden(before: Row, after: Row) -> bool:
    return _visible(before) and not _visible(after)


def changed(*names: str) -> Callable[[Row, Row], bool]:
    """One of the fields of a row that was visible and still is."""

    def happened(before: Row, after: Row) -> bool:
        return _visible(before) and _visible(after) and bool(_changes(before, after, names))

    return happened


class Change(NamedTuple):
    """If this happened to a row of the model, that is the event; it is told what the row was and what it is."""

    model: type[models.Model]
    happened: Callable[[Row, Row], bool]
    event: Callable[[Row, Row], Event]


POST_FIELDS = ("title", "body", "circle_id")

CHANGES = (
    Change(User, added, lambda _, user: events.UserRegistered(user_id=user.pk, username=user.username)),
    Change(
        Post, shown, lambda _, post: events.PostPublished(title=post.title, circle_id=post.circle_id, **_post(post))
    ),
    Change(Post, changed(*POST_FIELDS), lambda was, post: events.PostUpdated(changed=_names(was, post), **_post(post))),
    Change(Post, hidden, lambda was, _: events.PostDeleted(**_post(was))),
    Change(
        Comment,
        shown,
        lambda _, comment: events.CommentCreated(
            parent_id=comment.parent_id, content=comment.content, **_comment(comment)
        ),
    ),
    Change(Comment, changed("content"), lambda _, comment: events.CommentUpdated(**_comment(comment))),
    Change(Comment, hidden, lambda was, _: events.CommentDeleted(**_comment(was))),
    Change(Follow, added, lambda _, follow: events.UserFollowed(**_follow(follow))),
    Change(Follow, removed, lambda was, _: events.UserUnfollowed(**_follow(was))),
    Change(Membership, added, lambda _, member: events.CircleJoined(**_membership(member))),
    Change(Membership, removed, lambda was, _: events.CircleLeft(**_membership(was))),
    Change(Vote, added, lambda _, vote: events.VoteCreated(**_vote(vote))),
    Change(
        Vote,
        changed("vote_type"),
        lambda was, vote: events.VoteUpdated(previous_vote_type=was.vote_type, **_vote(vote)),
    ),
    Change(Vote, removed, lambda was, _: events.VoteDeleted(**_vote(was))),
)


def _post(post: Post) -> dict[str, Any]:
    return {"post_id": post.pk, "author_id": post.author_id}


def _comment(comment: Comment) -> dict[str, Any]:
    return {"comment_id": comment.pk, "post_id": comment.post_id, "author_id": comment.author_id}


def _follow(follow: Follow) -> dict[str, Any]:
    return {"follower_id": follow.follower_id, "followee_id": follow.followee_id}


def _membership(membership: Membership) -> dict[str, Any]:
    return {"circle_id": membership.circle_id, "user_id": membership.user_id}


def _vote(vote: Vote) -> dict[str, Any]:
    return {
        "vote_id": vote.pk,
        "user_id": vote.user_id,
        "entity_type": str(vote.entity_type),
        "entity_id": vote.entity_id,
        "vote_type": str(vote.vote_type),
    }


def _names(before: Post, after: Post) -> tuple[str, ...]:
    return tuple(name.removesuffix("_id") for name in _changes(before, after, POST_FIELDS))


def _changes(before: Row, after: Row, names: Iterable[str]) -> list[str]:
    return [name for name in names if getattr(before, name) != getattr(after, name)]


def _visible(row: Row) -> bool:
    return row is not None and getattr(row, "is_visible", True)


# From Django's signals to the table ----------------------------------------------------------------------------------


def row_saved(
    sender: type[models.Model], instance: Row, created: bool, update_fields: frozenset[str] | None, raw: bool, **_: Any
) -> None:
    """Tell of a row that was written. A fixture (raw) copies rows whose events happened elsewhere."""
    if not raw:
        before = None if created else instance.previous
        after = _as_written(instance, before, update_fields)
        # Who takes away what somebody else wrote is the one who must not see that counting comes later.
        actor_id = instance.deleted_by_id if sender is Comment and hidden(before, after) else None
        _tell(sender, before, after, actor_id=actor_id)


def row_deleted(sender: type[models.Model], instance: Row, **_: Any) -> None:
    """Tell of a row that is gone. `previous` is None where another was faster, and in a cascade, whose root tells."""
    _tell(sender, instance.previous, None)


for _model in {change.model for change in CHANGES}:
    post_save.connect(row_saved, sender=_model)
    post_delete.connect(row_deleted, sender=_model)


def tell_of_new(rows: Iterable[Row]) -> None:
    """Tell of rows that bulk_create wrote, which sends no signals; in its transaction."""
    told = [
        (row, change.event(None, row))
        for row in rows
        for change in CHANGES
        if isinstance(row, change.model) and change.happened(None, row)
    ]
    event_ids = emit_many(event for _, event in told)
    Uncounted.objects.bulk_create(
        Uncounted(event_id=event_id, **deltas)
        for event_id, (row, _) in zip(event_ids, told, strict=True)
        if (deltas := _deltas(None, row))
    )


def _tell(model: type[models.Model], before: Row, after: Row, *, actor_id: int | None = None) -> None:
    for change in CHANGES:
        if change.model is model and change.happened(before, after):
            event_id = emit(change.event(before, after))
            if deltas := _deltas(before, after):
                Uncounted.objects.create(event_id=event_id, **deltas | ({"user_id": actor_id} if actor_id else {}))


def _as_written(instance: Row, before: Row, update_fields: frozenset[str] | None) -> Row:
    """The row as it now is: what save(update_fields=…) left out may be stale in the instance."""
    if before is None or update_fields is None:
        return instance
    after = copy.copy(before)
    for field in instance._meta.concrete_fields:
        if field.name in update_fields or field.attname in update_fields:
            setattr(after, field.attname, getattr(instance, field.attname))
    return after


def _deltas(before: Row, after: Row) -> dict[str, Any]:
    """What the event will add to the counts, as long as it has not been counted."""
    row = after or before
    if isinstance(row, Vote):
        numbers = {f"{way}votes": _is(after, way) - _is(before, way) for way in Vote.Type.values}
        return {"user_id": row.user_id, "entity_type": row.entity_type, "entity_id": row.entity_id, **numbers}
    if isinstance(row, Comment) and _visible(before) != _visible(after):
        comments = _visible(after) - _visible(before)
        return {"user_id": row.author_id, "entity_type": Entity.POST, "entity_id": row.post_id, "comments": comments}
    return {}


def _is(vote: Vote | None, way: str) -> int:
    return int(vote is not None and vote.vote_type == way)
