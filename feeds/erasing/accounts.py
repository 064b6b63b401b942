"""Accounts: what is left of an account that was deleted, erased in chunks: its texts, and its name in those of others.

The name itself is known nowhere any more. A mention is recognized by its digest (`ReservedName`), earlier names of the
same person too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models import Q

from events.bus import redact, redact_errors
from feeds.models import Comment, FeedEntry, Post, User
from feeds.models.reserved_names import ReservedName, digests
from feeds.search.index import index_posts
from feeds.text.mentions import candidates
from feeds.text.renaming import renamed

#: Texts that are erased in one chunk.
TEXTS_PER_CHUNK = 50
#: Texts among which one chunk looks for mentions.
SCANNED_PER_CHUNK = 1_000
#: The steps, in order.
STEPS = ("posts", "comments", "mentions in posts", "mentions in comments")


class Place(NamedTuple):
    """How far the work has come: the step, and the id of the last text that is done."""

    step: str
    after: int


BEGIN = Place(STEPS[0], 0)


def forget(user_id: int, *, erase_texts: bool, place: Place = BEGIN) -> Place | None:
    """Do the chunk at a place, in the caller's transaction. Returns where to go on; None: all is done."""
    if place == BEGIN:
        FeedEntry.objects.filter(user=user_id).delete()
    work = {
        "posts": lambda: _erase_texts(Post.objects.of(user_id), place.after, drafts_only=not erase_texts),
        "comments": lambda: _erase_texts(Comment.objects.of(user_id), place.after) if erase_texts else None,
        "mentions in posts": lambda: _rename_in(Post, user_id, place.after),
        "mentions in comments": lambda: _rename_in(Comment, user_id, place.after),
    }
    last = work[place.step]()
    if last is not None:
        return Place(place.step, last)
    following = STEPS.index(place.step) + 1
    return Place(STEPS[following], 0) if following < len(STEPS) else None


def _erase_texts(texts: Any, after: int, *, drafts_only: bool = False) -> int | None:
    """Nobody but the author ever saw a draft, so no draft is kept."""
    rows = texts.filter(pk__gt=after, erased_at=None).order_by("pk")
    if drafts_only:
        rows = rows.filter(status=Post.Status.DRAFT)
    chunk = list(rows[:TEXTS_PER_CHUNK])
    for row in chunk:
        row.delete()
    return chunk[-1].pk if len(chunk) == TEXTS_PER_CHUNK else None


def _rename_in(model: type[Post] | type[Comment], user_id: int, after: int) -> int | None:
    field = model.text_field
    ids = list(model.objects.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:SCANNED_PER_CHUNK])
    if not ids:
        return None
    names = _Names(user_id)
    mentioning = Q(**{f"{field}__contains": "@"}) | Q(**{f"{field}__contains": "＠"})
    rows = model.objects.filter(mentioning, pk__in=ids, erased_at=None).values_list("pk", field)
    found = [pk for pk, text in rows if names.renamed(text) != text]
    changed: dict[int, str] = {}
    locked = model.objects.filter(pk__in=found).order_by("pk").select_for_update(no_key=True, of=("self",))
    for row in locked:
        # Not by save(): nobody has edited it, and what it says is no news.
        changed[row.pk] = names.renamed(row.source)
        model.objects.filter(pk=row.pk).update(**{field: changed[row.pk]})
    model.stored_text.objects.store(changed)
    if model is Comment:
        # All of them: the log has a comment as it was first written.
        redact(*(f"comment/{pk}" for pk in ids), changes={"content": names.renamed})
    else:
        index_posts(changed)
        redact_errors(*(f"post/{pk}" for pk in changed))
    return ids[-1] if len(ids) == SCANNED_PER_CHUNK else None


class _Names:
    """The names that a user who left has had."""

    def __init__(self, user_id: int) -> None:
        self._digests = set(ReservedName.objects.filter(user=user_id).values_list("digest", flat=True))
        self._neutral = User.objects.values_list("username", flat=True).get(pk=user_id)

    def renamed(self, text: str) -> str:
        """The text with the neutral name in its mentions of the user."""
        return renamed(text, self._meant, to=self._neutral)

    def _meant(self, name: str) -> str:
        possible = candidates(name)
        gone = next((one for one in possible if not self._digests.isdisjoint(digests(one))), "")
        # As for everybody: the longest name that somebody has is meant.
        longer = possible[: possible.index(gone)] if gone else []
        return "" if longer and User.objects.named(*longer).exists() else gone
