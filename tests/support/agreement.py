"""Agreement: the log folded up equals the tables, equals the counts; every event reached every subscriber once.

Each function returns what disagrees, as sentences; an empty list is agreement. They read committed data and trust
none of the code under test: the log is folded here, the counts are computed by SQL aggregates.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable

from django.db.models import Count, F, Q, Window
from django.db.models.functions import Now, RowNumber

from events.models import Delivery, OutboxMessage, StoredEvent
from events.subscription import subscriptions
from feeds.models import Comment, EntityCounts, FeedEntry, Follow, Membership, Post, PulledPost, Uncounted, User, Vote
from feeds.ranking import controversy, hot

EXAMPLES = 3


def everything() -> list[str]:
    """All of it."""
    return [*deliveries(), *log(), *counts(), *uncounted()]


def deliveries() -> list[str]:
    """Nothing is owed but what is for another day, nothing is dead, and each event is done once at each subscriber of
    its topic."""
    found: list[str] = []
    later = OutboxMessage.objects.filter(due__gt=Now() + dt.timedelta(days=1))
    if owed := OutboxMessage.objects.exclude(pk__in=later.values("pk")).count():
        found.append(f"{owed} outbox messages are still owed")
    states = Counter(dict(Delivery.objects.order_by().values_list("state").annotate(Count("id"))))
    if set(states) - {"done"}:
        found.append(f"deliveries that are not done: {dict(states)}")
    for name, subscription in subscriptions.items():
        owed = StoredEvent.objects.owed_to(name).exclude(event_id__in=later.values("event_id"))
        topics = dict(owed.order_by().values_list("topic").annotate(Count("sequence")))
        wanted = [topic for topic in topics if subscription.wants(topic)]
        expected = sum(topics[topic] for topic in wanted)
        done = Delivery.objects.filter(subscriber=name, run=0, state="done").count()
        if done != expected:
            found.append(f"{name}: {done} deliveries for {expected} events")
        events = owed.filter(topic__in=wanted).values("event_id")
        missing = events.exclude(event_id__in=Delivery.objects.filter(subscriber=name).values("event_id"))
        if count := missing.count():
            found.append(f"{name}: {count} events have no delivery")
    return found


def log() -> list[str]:
    """Replaying the log line by line leads to the rows that are in the tables."""
    posts: set[int] = set()
    comments: set[int] = set()
    pairs: dict[str, set[tuple[int, int]]] = {"user": set(), "circle": set()}
    votes: dict[tuple[int, str, int], str] = {}
    users: set[int] = set()
    found: list[str] = []

    def step(line: StoredEvent) -> None:
        data = line.data
        match line.topic:
            case "user.registered":
                _add(users, data["user_id"], line)
            case "post.published":
                _add(posts, data["post_id"], line)
            case "post.deleted":
                _drop(posts, data["post_id"], line)
            case "comment.created":
                _add(comments, data["comment_id"], line)
            case "comment.deleted":
                _drop(comments, data["comment_id"], line)
            case "user.followed":
                _add(pairs["user"], (data["follower_id"], data["followee_id"]), line)
            case "user.unfollowed":
                _drop(pairs["user"], (data["follower_id"], data["followee_id"]), line)
            case "circle.joined":
                _add(pairs["circle"], (data["circle_id"], data["user_id"]), line)
            case "circle.left":
                _drop(pairs["circle"], (data["circle_id"], data["user_id"]), line)
            case "vote.created" | "vote.updated" | "vote.deleted":
                key = (data["user_id"], data["entity_type"], data["entity_id"])
                before = {"vote.created": None, "vote.updated": data.get("previous_vote_type")}
                expected = before.get(line.topic, data["vote_type"])
                if votes.get(key) != expected:
                    raise ValueError(f"{line}: the vote was {votes.get(key)} before, not {expected}")
                if line.topic == "vote.deleted":
                    del votes[key]
                else:
                    votes[key] = data["vote_type"]

    for line in StoredEvent.objects.order_by("sequence").iterator(chunk_size=5000):
        try:
            step(line)
        except ValueError as error:
            found.append(str(error))
    tables: list[tuple[str, Iterable[object], Iterable[object]]] = [
        ("users", users, User.objects.values_list("pk", flat=True)),
        ("posts", posts, Post.objects.visible().values_list("pk", flat=True)),
        ("comments", comments, Comment.objects.filter(deleted_at=None).values_list("pk", flat=True)),
        ("follows", pairs["user"], Follow.objects.values_list("follower_id", "followee_id")),
        ("memberships", pairs["circle"], Membership.objects.values_list("circle_id", "user_id")),
        (
            "votes",
            [(*key, way) for key, way in votes.items()],
            Vote.objects.values_list("user_id", "entity_type", "entity_id", "vote_type"),
        ),
    ]
    for name, folded, rows in tables:
        only_log, only_table = set(folded) - set(rows), set(rows) - set(folded)
        if only_log or only_table:
            found.append(f"{name}: in the log alone {_some(only_log)}, in the table alone {_some(only_table)}")
    return found


def counts() -> list[str]:
    """The counts are what the votes and comments add up to, and the rank follows from them."""
    found: list[str] = []
    votes = {
        (row["entity_type"], row["entity_id"]): (row["up"], row["down"])
        for row in Vote.objects.order_by()
        .values("entity_type", "entity_id")
        .annotate(up=Count("id", filter=Q(vote_type="up")), down=Count("id", filter=Q(vote_type="down")))
    }
    comments = dict(Comment.objects.filter(deleted_at=None).order_by().values_list("post_id").annotate(Count("id")))
    rows = {(row.entity_type, row.entity_id): row for row in EntityCounts.objects.all()}
    posts = dict(Post.objects.filter(status="published").values_list("pk", "published_at"))
    for pk in Post.objects.visible().values_list("pk", flat=True):
        if ("post", pk) not in rows:
            found.append(f"post/{pk} has no counts")
    for key in set(votes) - set(rows):
        found.append(f"{key} has votes and no counts")
    for key, row in rows.items():
        up, down = votes.get(key, (0, 0))
        said = (row.upvotes, row.downvotes, row.score)
        if said != (up, down, up - down):
            found.append(f"{key}: counts {said}, votes {(up, down, up - down)}")
        if key[0] == "post":
            if row.comments != comments.get(key[1], 0):
                found.append(f"{key}: counts {row.comments} comments of {comments.get(key[1], 0)}")
            rank = hot(up, down, posts[key[1]].timestamp())
            if abs(row.hot - rank) > 1e-6:
                found.append(f"{key}: hot {row.hot}, computed {rank}")
        if row.controversy != controversy(up, down):
            found.append(f"{key}: controversy {row.controversy}, computed {controversy(up, down)}")
    return found


def uncounted() -> list[str]:
    """Once all is delivered, no change of an actor waits for the counts."""
    left = Uncounted.objects.count()
    return [f"{left} changes are still uncounted"] if left else []


def feeds(*, newest: int = 400) -> list[str]:
    """Each feed holds the newest posts of the people its owner follows, unless they are merged in on reading."""
    pulled = PulledPost.objects.values("post")
    expected = set(
        Follow.objects.filter(followee__posts__in=Post.objects.visible().exclude(pk__in=pulled))
        .annotate(
            place=Window(
                RowNumber(),
                partition_by=F("follower"),
                order_by=[F("followee__posts__published_at").desc(), F("followee__posts__id").desc()],
            )
        )
        .filter(place__lte=newest)
        .values_list("follower_id", "followee__posts__id")
    )
    have = set(FeedEntry.objects.values_list("user_id", "post_id"))
    missing, foreign = expected - have, {pair for pair in have - expected if not _belongs(pair)}
    found = [f"{len(missing)} of {len(expected)} feed entries are missing: {_some(missing)}"] if missing else []
    return found + ([f"{len(foreign)} feed entries do not belong: {_some(foreign)}"] if foreign else [])


def _belongs(pair: tuple[int, int]) -> bool:
    """Whether a feed entry beyond the newest is there for a reason: a follow, or a circle joined."""
    user, post_id = pair
    post = Post.objects.filter(pk=post_id).first()
    return post is not None and (
        Follow.objects.filter(follower=user, followee=post.author_id).exists()
        or Membership.objects.filter(user=user, circle=post.circle_id).exists()
    )


def _add(known: set, one: object, line: StoredEvent) -> None:
    if one in known:
        raise ValueError(f"{line}: told twice")
    known.add(one)


def _drop(known: set, one: object, line: StoredEvent) -> None:
    if one not in known:
        raise ValueError(f"{line}: told of what was not there")
    known.remove(one)


def _some(things: set) -> str:
    shown = sorted(things, key=str)[:EXAMPLES]
    return f"{len(things)} such as {shown}" if things else "none"
