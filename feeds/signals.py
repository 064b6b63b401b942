"""Signals: the one table "model change → event", and the handlers that apply it to every save and delete.

Runs in the process that writes the row, in the same transaction. Writes Uncounted (the pending counts).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.db import models
from django.db.models.signals import post_delete, post_save
from django.utils.translation import get_language

from events.bus import Event, emit, emit_many
from feeds import events
from feeds.factor.seal import seal
from feeds.models import Comment, Entity, Follow, Membership, Post, SecondFactor, Uncounted, User, Vote

#: A row before or after a change; None before it is inserted and after it is deleted.
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
    """A condition: one of these fields changed, and the row was visible and still is."""

    def happened(before: Row, after: Row) -> bool:
        return _visible(before) and _visible(after) and bool(_changes(before, after, names))

    return happened


def lost_address(before: User | None, after: User | None) -> bool:
    """A condition: a user has another confirmed address than before, or none any more, and did not leave."""
    if before is None or after is None or not before.confirmed_email or not after.is_active:
        return False
    return before.confirmed_email != after.confirmed_email


class EventRule(NamedTuple):
    """If `happened(before, after)` for a row of the model, emit `event(before, after)`."""

    model: type[models.Model]
    happened: Callable[[Row, Row], bool]
    event: Callable[[Row, Row], Event]


POST_FIELDS = ("title", "body", "circle_id")

EVENT_RULES = (
    EventRule(User, added, lambda _, user: events.UserRegistered(user_id=user.pk, username=user.username)),
    EventRule(
        User,
        lost_address,
        lambda was, user: events.EmailChanged(
            user_id=user.pk,
            removed=not user.confirmed_email,
            sealed_before=seal(was.confirmed_email),
            language=_language(),
        ),
    ),
    EventRule(
        Post, shown, lambda _, post: events.PostPublished(title=post.title, circle_id=post.circle_id, **_post(post))
    ),
    EventRule(
        Post, changed(*POST_FIELDS), lambda was, post: events.PostUpdated(changed=_names(was, post), **_post(post))
    ),
    EventRule(Post, hidden, lambda was, _: events.PostDeleted(**_post(was))),
    EventRule(
        Comment,
        shown,
        lambda _, comment: events.CommentCreated(
            parent_id=comment.parent_id, content=comment.content, **_comment(comment)
        ),
    ),
    EventRule(Comment, changed("content"), lambda _, comment: events.CommentUpdated(**_comment(comment))),
    EventRule(Comment, hidden, lambda was, _: events.CommentDeleted(**_comment(was))),
    EventRule(SecondFactor, added, lambda _, factor: events.FactorTurnedOn(**_factor(factor))),
    EventRule(SecondFactor, removed, lambda was, _: events.FactorTurnedOff(**_factor(was))),
    EventRule(Follow, added, lambda _, follow: events.UserFollowed(**_follow(follow))),
    EventRule(Follow, removed, lambda was, _: events.UserUnfollowed(**_follow(was))),
    EventRule(Membership, added, lambda _, member: events.CircleJoined(**_membership(member))),
    EventRule(Membership, removed, lambda was, _: events.CircleLeft(**_membership(was))),
    EventRule(Vote, added, lambda _, vote: events.VoteCreated(**_vote(vote))),
    EventRule(
        Vote,
        changed("vote_type"),
        lambda was, vote: events.VoteUpdated(previous_vote_type=was.vote_type, **_vote(vote)),
    ),
    EventRule(Vote, removed, lambda was, _: events.VoteDeleted(**_vote(was))),
)


def _post(post: Post) -> dict[str, Any]:
    return {"post_id": post.pk, "author_id": post.author_id}


def _comment(comment: Comment) -> dict[str, Any]:
    return {"comment_id": comment.pk, "post_id": comment.post_id, "author_id": comment.author_id}


def _factor(factor: SecondFactor) -> dict[str, Any]:
    return {"user_id": factor.user_id, "language": _language()}


def _language() -> str:
    return get_language() or settings.LANGUAGE_CODE


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


# Apply the table to Django's signals ----------------------------------------------------------------------------------


def row_saved(
    sender: type[models.Model], instance: Row, created: bool, update_fields: frozenset[str] | None, raw: bool, **_: Any
) -> None:
    """Emit the events of a saved row. Not for a fixture (raw): it copies rows whose events were emitted elsewhere."""
    if not raw:
        before = None if created else instance.previous
        after = _as_written(instance, before, update_fields)
        # The pending count belongs to the user who acts: a moderator may remove or restore another user's comment.
        actor_id = instance.moderator_id if sender is Comment and _visible(before) != _visible(after) else None
        _emit(sender, before, after, actor_id=actor_id)


def row_deleted(sender: type[models.Model], instance: Row, **_: Any) -> None:
    """Emit the events of a deleted row.

    `previous` is None if another transaction deleted the row first, and in a cascade: there the root row has the event.
    """
    _emit(sender, instance.previous, None)


for _model in {rule.model for rule in EVENT_RULES}:
    post_save.connect(row_saved, sender=_model)
    post_delete.connect(row_deleted, sender=_model)


def emit_for_new_rows(rows: Iterable[Row]) -> None:
    """Emit the events of rows that bulk_create wrote, which sends no signals. Call it in the same transaction."""
    emitted = [
        (row, rule.event(None, row))
        for row in rows
        for rule in EVENT_RULES
        if isinstance(row, rule.model) and rule.happened(None, row)
    ]
    event_ids = emit_many(event for _, event in emitted)
    Uncounted.objects.bulk_create(
        Uncounted(event_id=event_id, **pending)
        for event_id, (row, _) in zip(event_ids, emitted, strict=True)
        if (pending := _pending_counts(None, row))
    )


def emit_for_deleted_rows(rows: Sequence[Row]) -> None:
    """Emit the events of rows that one statement deleted, which sends no signals. Call it in the same transaction, with
    rows that were locked before. Only for models whose rows count for nothing: follows and memberships."""
    emit_many(
        rule.event(row, None)
        for row in rows
        for rule in EVENT_RULES
        if isinstance(row, rule.model) and rule.happened(row, None)
    )


def _emit(model: type[models.Model], before: Row, after: Row, *, actor_id: int | None = None) -> None:
    for rule in EVENT_RULES:
        if rule.model is model and rule.happened(before, after):
            event_id = emit(rule.event(before, after))
            if pending := _pending_counts(before, after):
                Uncounted.objects.create(event_id=event_id, **pending | ({"user_id": actor_id} if actor_id else {}))


def _as_written(instance: Row, before: Row, update_fields: frozenset[str] | None) -> Row:
    """The row as it now is in the database: in the instance, a field that update_fields leaves out may be stale."""
    if before is None or update_fields is None:
        return instance
    after = copy.copy(before)
    for field in instance._meta.concrete_fields:
        if field.name in update_fields or field.attname in update_fields:
            setattr(after, field.attname, getattr(instance, field.attname))
    return after


def _pending_counts(before: Row, after: Row) -> dict[str, Any]:
    """The fields of Uncounted for what the event will add to the counts; empty if it adds nothing."""
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
