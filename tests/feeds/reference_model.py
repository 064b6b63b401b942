"""Reference model: the promises of feeds as plain sets and dictionaries, without database, queue or subscriber."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import log10

Key = tuple[str, int]


@dataclass
class ModelPost:
    author: int
    words: set[str]
    circle: int | None
    published_at: dt.datetime | None
    deleted: bool = False

    @property
    def visible(self) -> bool:
        return self.published_at is not None and not self.deleted


@dataclass
class ModelComment:
    post: int
    author: int
    deleted: bool = False


@dataclass
class Model:
    owners: dict[int, int] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    follows: set[tuple[int, int]] = field(default_factory=set)
    members: set[tuple[int, int]] = field(default_factory=set)
    blocks: set[tuple[int, int]] = field(default_factory=set)
    mutes: set[tuple[int, int]] = field(default_factory=set)
    posts: dict[int, ModelPost] = field(default_factory=dict)
    comments: dict[int, ModelComment] = field(default_factory=dict)
    votes: dict[tuple[int, Key], str] = field(default_factory=dict)
    #: By (user, post): how many comments the user added to the post, less those deleted.
    said: Counter[tuple[int, int]] = field(default_factory=Counter)
    #: By (user, entity): the votes and comments that the subscribers have counted.
    counted: defaultdict[tuple[int, Key], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    deleters: dict[int, int] = field(default_factory=dict)

    # Permissions

    def apart(self, one: int, *others: int) -> bool:
        return any((one, other) in self.blocks or (other, one) in self.blocks for other in others)

    def hidden(self, viewer: int, author: int) -> bool:
        return self.apart(viewer, author) or (viewer, author) in self.mutes

    def author(self, key: Key) -> int:
        return self.posts[key[1]].author if key[0] == "post" else self.comments[key[1]].author

    def visible(self, key: Key) -> bool:
        if key[0] == "post":
            return self.posts[key[1]].visible
        comment = self.comments[key[1]]
        return not comment.deleted and self.posts[comment.post].visible

    def moderates(self, user: int, post: ModelPost) -> bool:
        return post.circle is not None and self.owners[post.circle] == user

    # Actions

    def block(self, user: int, other: int) -> None:
        self.blocks.add((user, other))
        self.follows -= {(user, other), (other, user)}

    def leave(self, user: int) -> None:
        self.gone.add(user)
        self.closed.add(user)
        self.follows = {tie for tie in self.follows if user not in tie}
        self.members = {tie for tie in self.members if tie[1] != user}
        self.blocks = {tie for tie in self.blocks if tie[0] != user}
        self.mutes = {tie for tie in self.mutes if tie[0] != user}

    def delete_comment(self, user: int, comment_id: int) -> None:
        comment = self.comments[comment_id]
        comment.deleted = True
        self.deleters[comment_id] = user
        self.said[user, comment.post] -= 1

    # Counting

    def count(self, topic: str, data: dict) -> None:
        """An event of a vote or comment was delivered to the subscriber that counts it."""
        if topic.startswith("vote."):
            numbers = self.counted[data["user_id"], (data["entity_type"], data["entity_id"])]
            if topic != "vote.created":
                numbers[data.get("previous_vote_type", data["vote_type"])] -= 1
            if topic != "vote.deleted":
                numbers[data["vote_type"]] += 1
        elif topic == "comment.created":
            self.counted[data["author_id"], ("post", data["post_id"])]["comments"] += 1
        elif topic == "comment.deleted":
            self.counted[self.deleters[data["comment_id"]], ("post", data["post_id"])]["comments"] -= 1

    def numbers(self, key: Key) -> tuple[int, int, int]:
        """(upvotes, downvotes, comments) after all events are delivered."""
        ways = Counter(way for (_, on), way in self.votes.items() if on == key)
        comments = [one for one in self.comments.values() if key == ("post", one.post) and not one.deleted]
        return ways["up"], ways["down"], len(comments)

    def numbers_for(self, viewer: int, key: Key) -> tuple[int, int, int]:
        """The numbers that the viewer sees now: own actions at once, those of others when they are counted."""
        sums = [0, 0, 0]
        for (user, on), counted in self.counted.items():
            if on == key and user != viewer:
                for place, name in enumerate(("up", "down", "comments")):
                    sums[place] += counted[name]
        own = self.votes.get((viewer, key))
        sums[0] += own == "up"
        sums[1] += own == "down"
        sums[2] += self.said[viewer, key[1]] if key[0] == "post" else 0
        return max(sums[0], 0), max(sums[1], 0), max(sums[2], 0)

    def hot(self, post_id: int) -> float:
        up, down, _ = self.numbers(("post", post_id))
        score, published_at = up - down, self.posts[post_id].published_at
        assert published_at is not None
        order = log10(abs(score)) if score else 0.0
        return (order if score > 0 else -order) + (published_at.timestamp() - 1134028003) / 45000

    # Reading

    def shown(self, viewer: int) -> set[int]:
        """The posts in the lists."""
        return {
            post_id for post_id, post in self.posts.items() if post.visible and not self.hidden(viewer, post.author)
        }

    def home(self, viewer: int) -> list[int]:
        """The feed after all events are delivered, newest first."""
        wanted = [
            (post.published_at, post_id)
            for post_id in self.shown(viewer)
            if (post := self.posts[post_id])
            and (
                post.author == viewer or (viewer, post.author) in self.follows or (post.circle, viewer) in self.members
            )
        ]
        return [post_id for _, post_id in sorted(wanted, reverse=True)]

    def found(self, viewer: int, word: str) -> set[int]:
        return {post_id for post_id in self.shown(viewer) if word in self.posts[post_id].words}
