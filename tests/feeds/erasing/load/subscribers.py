"""Subscribers that fail and quote all that their event is about and concerns, now and at each retry; small chunks; and
traps, at which the process is killed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

import events.worker.services
from events.brokers.amqp import take_out
from events.bus import Event, PermanentFailure, RetryAfter, subscriber
from events.event import concerned
from events.repair import sweep
from feeds.erasing import accounts, leaving
from feeds.models import Comment, Post, User
from notifications.notices import gone
from tests.chaos.load.crash_points import crash_if_set

QUOTED = ("post.*", "comment.*", "vote.*", "user.registered", "user.followed")
#: Seconds until the retry of the patient one: no test waits for it.
AN_HOUR = 3_600

# The processes sweep every second, and a small account has many chunks.
events.worker.services.RECONCILE_INTERVAL = 1.0
accounts.TEXTS_PER_CHUNK, accounts.SCANNED_PER_CHUNK = 2, 7
leaving.ROWS_PER_CHUNK = 7
gone.DELETED_PER_TRANSACTION, gone.SCANNED_PER_TRANSACTION = 2, 7


# Errors that do not count as the subscriber's own: else it would be tried less often with each.
@subscriber(*QUOTED, name="quoting.impatient", group=1)
def impatient(event: Event) -> None:
    """Its failures are dead letters at once."""
    raise PermanentFailure(f"cannot bear {event!r}: {said(event)}")


@subscriber(*QUOTED, name="quoting.patient", group=1)
def patient(event: Event) -> None:
    """Its failures wait for their retry."""
    raise RetryAfter(AN_HOUR) from LookupError(f"cannot find {event!r}: {said(event)}")


def said(event: Event) -> list[str]:
    """What is written by, and the name of, whatever the event is about or concerns, and the post of a comment."""
    data = event.model_dump(mode="json")
    words: list[str] = []
    for subject in sorted({event.subject_text} | concerned(event.topic, version=event.version, data=data)):
        kind, _, number = subject.partition("/")
        if kind == "post":
            words += [f"{post.title} {post.body}" for post in Post.objects.filter(pk=number)]
        elif kind == "comment":
            comments = Comment.objects.filter(pk=number).select_related("post")
            words += [f"{comment.content} {comment.post.title}" for comment in comments]
        elif kind == "user":
            words += [f"{user.username} {user.email}" for user in User.objects.filter(pk=number)]
    return words


def trap(module: ModuleType, name: str, *, before: str = "", after: str = "") -> None:
    """Kill the process that comes to a step of this function, if a crash point is set there."""
    inner: Callable[..., Any] = getattr(module, name)

    @wraps(inner)
    def trapped(*args: Any, **kwargs: Any) -> Any:
        if before:
            crash_if_set(before)
        result = inner(*args, **kwargs)
        if after:
            crash_if_set(after)
        return result

    setattr(module, name, trapped)


trap(take_out, "_copy", before="owed, not copied", after="copied, not acknowledged")
trap(sweep, "_erase_refused", before="acknowledged, before the refused bytes")
trap(leaving, "_end", after="follows ended, not committed")
trap(accounts, "_erase_texts", after="texts erased, not committed")
trap(accounts, "_rename_in", after="mentions renamed, not committed")
trap(gone, "forget_person", after="notices forgotten, not committed")
