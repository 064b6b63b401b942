"""ReadingOrder: the places of a thread from top to bottom, worked out as far as a page needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from feeds.counts.counts import Counts
from feeds.ranking import confidence


class Place(NamedTuple):
    """A place in the thread. depth: its level in the tree, from 0. shown: whether the viewer sees the content."""

    comment_id: int
    parent_id: int | None
    depth: int
    shown: bool


class Votes(NamedTuple):
    """The votes of many comments, by comment; one without votes may be missing."""

    upvotes: Mapping[int, int]
    downvotes: Mapping[int, int]

    def of(self, comment_id: int) -> Counts:
        return Counts(self.upvotes.get(comment_id, 0), self.downvotes.get(comment_id, 0))

    def replaced(self, others: Mapping[int, Counts]) -> Votes:
        """With these votes in place of those of the same comments."""
        if not others:
            return self
        upvotes = {comment_id: counts.upvotes for comment_id, counts in others.items()}
        downvotes = {comment_id: counts.downvotes for comment_id, counts in others.items()}
        return Votes({**self.upvotes, **upvotes}, {**self.downvotes, **downvotes})

    def plus(self, changes: Mapping[int, Counts]) -> Votes:
        """With these changes added."""
        return self.replaced({comment_id: self.of(comment_id).plus(change) for comment_id, change in changes.items()})


class ReadingOrder:
    """The order in which comments are read: each level best first by confidence, replies beneath their parent.

    A comment that is hidden has a place only while a shown one is below it. Of a thread of any length a page is read,
    so only the levels on its way are sorted.
    """

    def __init__(self, parents: Mapping[int, int | None], votes: Votes, *, hidden: Collection[int]) -> None:
        """parents: of every comment of the post. hidden: those that the viewer does not see."""
        self._parents, self._votes, self._hidden = parents, votes, hidden
        self._replies: dict[int | None, list[int]] = defaultdict(list)
        for comment_id, parent_id in parents.items():
            self._replies[parent_id].append(comment_id)
        self._sorted: set[int | None] = set()
        self._without_place = set(hidden) - self._above_shown() if hidden else set()

    def __contains__(self, comment_id: int) -> bool:
        """Whether this is a comment of the post, with a place or without."""
        return comment_id in self._parents

    def has_place(self, comment_id: int) -> bool:
        """Whether the comment is one of this post, and has a place."""
        return comment_id in self._parents and comment_id not in self._without_place

    def root_of(self, comment_id: int) -> int:
        """The comment of the top level above it, or itself."""
        return next(iter(self._path(comment_id)), comment_id)

    def from_top(self) -> Iterator[Place]:
        """All places."""
        return self._walk(self._level(None), path=[])

    def starting_at(self, comment_id: int) -> Iterator[Place]:
        """The place of a comment, and those after it."""
        level = self._level(self._parents[comment_id])
        return self._walk(level[level.index(comment_id) :], path=self._path(comment_id))

    def after(self, comment_id: int) -> Iterator[Place]:
        """The places after a comment, even if it has lost its own."""
        return self._walk(self._level(comment_id), path=[*self._path(comment_id), comment_id])

    def _walk(self, first: Sequence[int], *, path: Sequence[int]) -> Iterator[Place]:
        """`first`, replies to the last comment of the path, and then what comes after each comment of the path."""
        # An explicit stack, since a thread may be deeper than Python's recursion limit.
        ahead: list[Iterator[int]] = []
        for comment_id in path:
            level = self._level(self._parents[comment_id])
            ahead.append(iter(level[level.index(comment_id) + 1 :]))
        ahead.append(iter(first))
        while ahead:
            comment_id = next(ahead[-1], 0)
            if not comment_id:
                ahead.pop()
            elif comment_id not in self._without_place:
                yield Place(comment_id, self._parents[comment_id], len(ahead) - 1, comment_id not in self._hidden)
                ahead.append(iter(self._level(comment_id)))

    def _level(self, parent_id: int | None) -> list[int]:
        """The replies to a comment, or the comments of the top level, best first and of equals the earliest."""
        if parent_id not in self._replies:
            return []
        level = self._replies[parent_id]
        if parent_id not in self._sorted:
            confidences: dict[Counts, float] = {}
            level.sort()
            level.sort(key=lambda comment_id: self._confidence(comment_id, confidences), reverse=True)
            self._sorted.add(parent_id)
        return level

    def _confidence(self, comment_id: int, known: dict[Counts, float]) -> float:
        votes = self._votes.of(comment_id)
        if votes not in known:
            known[votes] = confidence(votes.upvotes, votes.downvotes)
        return known[votes]

    def _path(self, comment_id: int) -> list[int]:
        """The comments above, from the top."""
        path = []
        while (parent := self._parent(comment_id)) is not None:
            path.append(comment_id := parent)
        return path[::-1]

    def _parent(self, comment_id: int) -> int | None:
        """The comment above; None also for one of another post, which only SQL could set."""
        parent_id = self._parents[comment_id]
        return parent_id if parent_id in self._parents else None

    def _above_shown(self) -> set[int]:
        """The comments with a shown one below them."""
        above: set[int] = set()
        for comment_id in self._parents.keys() - self._hidden:
            parent = self._parent(comment_id)
            while parent is not None and parent not in above:
                above.add(parent)
                parent = self._parent(parent)
        return above
