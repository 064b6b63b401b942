"""Everywhere: each kind of deletion on real services, with what is deleted planted in every place at once; processes
are killed in the midst of erasing. Then every table and column, queue and key is searched, and every topic replayed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dramatiq
import pika
import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from redis import Redis

from events.models import Delivery, OutboxMessage, StoredEvent
from events.repair.replay import events_for, replay
from events.signature import HEADER
from events.subscription import subscriptions
from feeds import actions
from feeds.models import Comment, EntityCounts, Follow, Post, Uncounted, User, Vote
from feeds.models.soft_delete import RESTORABLE
from notifications.models import Notification
from tests.chaos.load.crash_points import FOLDER, crash_point
from tests.conformance.processes import Manage
from tests.conformance.rabbitmq import rabbitmqctl
from tests.support.factories import (
    CircleFactory,
    CommentFactory,
    FollowFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)
from tests.support.planted import found_in_database

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.rabbitmq,
    pytest.mark.redis,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(900),
]

PASSWORD = "correct horse 1"
#: The words of a post and a comment whose authors delete them; of two posts that a moderator removes, one of them 31
#: days ago; of the texts, and the names, of two who leave, one with the texts; and of a neighbour.
POST, COMMENT, KEPT, EXPIRED = "zanzibarite", "pemberlite", "sempiternal", "quixotrous"
STAYING, ERASED, STAYER, LEAVER, NEIGHBOUR = "marmalade", "velocity", "Brobdingnag", "Glubbdubdrib", "hippocampus"
GONE = (POST, COMMENT, EXPIRED, ERASED, STAYER, LEAVER)
#: More follows than the request of who leaves ends.
FOLLOWS = 70
#: The steps at which a process is killed, where only the relay runs and where workers do.
OF_SWEEP = (
    "copied, not acknowledged",
    "owed, not copied",
    "acknowledged, before the refused bytes",
)
OF_WORKERS = (
    "follows ended, not committed",
    "texts erased, not committed",
    "mentions renamed, not committed",
    "notices forgotten, not committed",
)
#: Where a text stands that is kept: a removed post that can be restored, a text of somebody who left.
OF_ROWS = {
    "feeds_post.title",
    "feeds_post.body",
    "feeds_posttext.html",
    "feeds_posttext.opening",
    "feeds_posttext.words",
}
OF_EVENTS = {
    "events_storedevent.data",
    "events_delivery.body",
    "events_delivery.reason",
    "events_attempt.error",
    "events_attempt.traceback",
}

Eventually = Callable[..., None]
QUEUE, QUOTING = "airy.feeds.index_post", "airy.quoting.impatient"


class Processes:
    """The processes under test: one kind of them at a time."""

    def __init__(self, manage: Manage, folder: Path, eventually: Eventually) -> None:
        self._manage, self._folder, self._eventually = manage, folder, eventually
        self._environment = {"DJANGO_SETTINGS_MODULE": "tests.feeds.erasing.load.settings", FOLDER: str(folder)}

    @contextmanager
    def workers(self) -> Iterator[None]:
        """Workers and the relay beside them; ended in order."""
        process = self._manage.worker(**self._environment)
        yield
        process.terminate()
        assert process.wait(90) == 0, self._manage.log()[-3000:]

    @contextmanager
    def relay_alone(self) -> Iterator[None]:
        """What is published waits in its queue."""
        process = self._manage("relay", **self._environment)
        yield
        self._manage.kill(process)

    def relay_dies(self, step: str) -> None:
        """A relay alone, killed at a step of the sweep."""
        point = crash_point(self._folder, step)
        point.touch()
        process = self._manage("relay", **self._environment)
        self._eventually(lambda: process.poll() is not None, within=120)
        assert process.returncode == -9, self._manage.log()[-3000:]
        assert not point.exists()

    def worker_will_die(self, step: str) -> Path:
        """Set a crash point for the next worker that comes to it; its supervisor starts another one."""
        point = crash_point(self._folder, step)
        point.touch()
        return point


@pytest.fixture
def processes(manage: Manage, tmp_path: Path, eventually: Eventually) -> Processes:
    return Processes(manage, tmp_path, eventually)


class Community:
    """Texts and people, of each kind one whose events are all delivered, and one whose events wait in queues."""

    def __init__(self) -> None:
        self.circle = CircleFactory()
        self.moderator = self.circle.owner
        self.friend = UserFactory()
        self.deleted: list[Post | Comment] = []
        self.removed: list[Post] = []
        self.expired: list[Post] = []
        self.stayers: list[User] = []
        self.leavers: list[User] = []

    def grow(self, number: int) -> None:
        """One more of each."""
        author = UserFactory()
        FollowFactory(follower=self.friend, followee=author)
        post = self._post(author, POST)
        comment = CommentFactory(author=author, content=f"I say {COMMENT}", post=self._post(UserFactory(), "plain"))
        VoteFactory(comment=comment)
        self.deleted += [post, comment]
        self.removed.append(self._post(author, KEPT))
        self.expired.append(self._post(author, EXPIRED))
        self._post(author, NEIGHBOUR)
        self.stayers.append(self._leaver(f"{STAYER}{number}", STAYING))
        self.leavers.append(self._leaver(f"{LEAVER}{number}", ERASED))

    def _post(self, author: User, word: str) -> Post:
        post: Post = PostFactory(author=author, title=f"On {word}", body=f"{word} is a word", circle=self.circle)
        VoteFactory(post=post)
        # Its error quotes the post; the notice of the vote, too.
        VoteFactory(comment=CommentFactory(post=post, author=self.friend))
        return post

    def _leaver(self, name: str, word: str) -> User:
        user = actions.register(username=name, password=PASSWORD, email=f"{name}@example.org")
        FollowFactory(follower=self.friend, followee=user)
        for _ in range(3):
            self._post(user, word)
        CommentFactory(author=user, content=f"{word} too", post=self._post(UserFactory(), "plain"))
        PostFactory(author=user, title=f"draft of {word}", body=f"draft of {word}", status="draft")
        PostFactory(author=self.friend, body=f"Ask @{name}!")
        CommentFactory(author=self.friend, content=f"Hello @{name}.")
        VoteFactory(user=user, post=PostFactory(author=self.friend))
        return user

    @property
    def gone(self) -> list[User]:
        return self.stayers + self.leavers

    def delete(self) -> None:
        """Each as its kind is deleted, by the doors that people use."""
        for written in self.deleted:
            client = Client()
            client.force_login(written.author)
            kind = "posts" if isinstance(written, Post) else "comments"
            assert client.delete(f"/api/{kind}/{written.pk}").status_code == 204
        for post in self.removed + self.expired:
            actions.delete_post(self.moderator, post_id=post.pk)
        late = [post.pk for post in self.expired]
        Post.objects.filter(pk__in=late).update(deleted_at=timezone.now() - RESTORABLE)
        OutboxMessage.objects.filter(event__subject__in=[f"post/{pk}" for pk in late], due__isnull=False).filter(
            event__topic="feed.text_removed"
        ).update(due=timezone.now())
        for user in self.gone:
            client = Client()
            client.force_login(user)
            client.get("/")
            choice = {"current_password": PASSWORD, "texts": "erase" if user in self.leavers else "keep"}
            assert client.delete("/api/me", choice, content_type="application/json").status_code == 204


def follow_each_other(user: User, count: int) -> None:
    """So many people and the user, without events, as an import does it."""
    names = [f"fan{number}-of-{user.pk}" for number in range(count)]
    User.objects.bulk_create([User(username=name, username_folded=name) for name in names])
    fans = User.objects.filter(username__in=names).values_list("pk", flat=True)
    pairs = [pair for fan in fans for pair in ((user.pk, fan), (fan, user.pk))]
    Follow.objects.bulk_create([Follow(follower_id=one, followee_id=two) for one, two in pairs])


# Where a text stands ------------------------------------------------------------------------------------------------


def places(text: str) -> set[str]:
    """Every table and column, every session, and every key of Redis in which a text stands."""
    found = {place for place, _ in found_in_database(text)}
    found |= {"a session" for one in Session.objects.all() if text.lower() in json.dumps(one.get_decoded()).lower()}
    return found | {f"redis {key}" for key, value in redis_keys() if text.lower() in f"{key} {value}".lower()}


def redis_keys() -> Iterator[tuple[str, str]]:
    """Every key of this run with its value, of whatever type."""
    with Redis.from_url(settings.REDIS_URL, decode_responses=True, encoding_errors="replace") as redis:
        for key in redis.scan_iter(f"*{settings.REDIS_PREFIX}*"):
            read: dict[str, Callable[[str], Any]] = {
                "string": redis.get,
                "hash": redis.hgetall,
                "set": redis.smembers,
                "list": lambda name: redis.lrange(name, 0, -1),
                "zset": lambda name: redis.zrange(name, 0, -1),
                "stream": redis.xrange,
            }
            kind = redis.type(key)
            if kind != "none":  # it has expired meanwhile
                yield key, repr(read[kind](key))


def queues() -> dict[str, int]:
    """The messages of every queue of the vhost, with those that a worker holds."""
    lines = rabbitmqctl("list_queues", "-p", settings.MQ_VHOST, "--no-table-headers", "name", "messages").splitlines()
    return {name: int(messages) for name, messages in (line.split("\t") for line in lines)}


def in_queues(words: tuple[str, ...]) -> Counter[tuple[str, str, int]]:
    """Queue, event and run of all messages; asserts that none says these words. They stay where they are."""
    found: Counter[tuple[str, str, int]] = Counter()
    with pika.BlockingConnection(dramatiq.get_broker().parameters) as connection:  # type: ignore[attr-defined]
        channel = connection.channel()
        for queue in queues():
            for _, properties, body in iter(lambda: channel.basic_get(queue), (None, None, None)):  # noqa: B023
                assert not says(words, body), f"{queue}: {body!r}"
                found[queue, json.loads(body)["id"], (properties.headers or {}).get("run", 0)] += 1
    return found


def says(words: tuple[str, ...], body: bytes) -> bool:
    return any(word.lower() in body.decode(errors="replace").lower() for word in words)


def settled() -> bool:
    """Whether all that can be delivered now is."""
    waiting = OutboxMessage.objects.exclude(due__gt=timezone.now() + RESTORABLE / 1_000)
    return not waiting.exists() and not any(queues().values()) and not waiting.exists()


# What must hold -----------------------------------------------------------------------------------------------------


def assert_gone_and_no_more(before: dict[str, set[str]]) -> None:
    """What DESIGN names is nowhere; what is kept is kept, in no more places than that."""
    for word in GONE:
        assert places(word) == set(), word
    assert before[KEPT] >= OF_ROWS
    assert places(KEPT) >= {"feeds_post.title", "feeds_post.body", "events_storedevent.data"}, "it can be restored"
    assert not {place for place in places(KEPT) if place.startswith(("notifications_", "feeds_searchdocument"))}
    assert places(STAYING) >= {"feeds_post.title", "feeds_comment.content", "events_storedevent.data"}
    assert not Post.objects.filter(status="draft", erased_at=None).exists(), "nobody else ever saw a draft"
    assert places(NEIGHBOUR) >= OF_EVENTS | {"feeds_post.title", "notifications_notification.data"}
    assert Post.objects.visible().filter(title=f"On {NEIGHBOUR}").count() == 2
    assert all(row.is_restorable for row in Post.objects.filter(title=f"On {KEPT}"))


def assert_nothing_is_lost_or_done_twice() -> None:
    """Each event has its outcome at each subscriber, and each effect is there once."""
    outcomes = set(Delivery.objects.exclude(state="retrying").values_list("event_id", "subscriber"))
    missing = [
        (name, str(event))
        for event in StoredEvent.objects.filter(suppressed="").exclude(outboxmessage__isnull=False)
        for name, subscription in subscriptions.items()
        if subscription.wants(event.topic) and (event.event_id, name) not in outcomes
    ]
    assert missing == []
    ended = StoredEvent.objects.filter(topic="user.unfollowed").values_list("data", flat=True)
    pairs = Counter((one["follower_id"], one["followee_id"]) for one in ended)
    assert set(pairs.values()) == {1}
    assert len(pairs) >= 2 * FOLLOWS
    assert not Follow.objects.filter(followee__in=User.objects.gone()).exists()
    assert not Follow.objects.filter(follower__in=User.objects.gone()).exists()
    assert not Uncounted.objects.exists()
    for counts in EntityCounts.objects.filter(entity_type="post"):
        post = Post.objects.get(pk=counts.entity_id)
        votes = Vote.objects.filter(entity_type="post", entity_id=post.pk, vote_type="up").count()
        assert (counts.upvotes, counts.comments) == (votes, post.comments.filter(deleted_at=None).count()), post.pk


def assert_nobody_who_is_gone_is_greeted_and_nothing_is_buried() -> None:
    assert not Notification.objects.filter(user__in=User.objects.gone()).exists()
    dead = Delivery.objects.filter(state="dead").exclude(subscriber__startswith="quoting.")
    assert [f"{one}: {one.reason}" for one in dead] == []


def publish_refused(event: StoredEvent) -> None:
    """The bytes of an event under a wrong signature: they become a dead letter that has another id."""
    properties = pika.BasicProperties(headers={HEADER: "wrong"})
    with pika.BlockingConnection(dramatiq.get_broker().parameters) as connection:  # type: ignore[attr-defined]
        connection.channel().basic_publish("", QUOTING, event.envelope().encode(), properties)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_after_each_kind_of_deletion_nothing_is_found_anywhere_and_a_replay_brings_nothing_back(
    processes: Processes, eventually: Eventually, killed: bool
) -> None:
    community = Community()
    with processes.workers():
        community.grow(1)
        follow_each_other(community.stayers[0], FOLLOWS)
        eventually(settled, within=180)
        publish_refused(StoredEvent.objects.get(subject=community.deleted[0].entity, topic="post.published"))
        eventually(lambda: Delivery.objects.filter(reason__contains="not signed").exists(), within=60)
    community.grow(2)
    with processes.relay_alone():
        eventually(lambda: not OutboxMessage.objects.filter(due=None).exists(), within=60)
    waiting = queues()
    assert min(waiting[name] for name in (QUEUE, QUOTING, "airy.notifications.welcome")) > 0
    before = {word: places(word) for word in (*GONE, KEPT, STAYING, NEIGHBOUR)}
    assert before[POST] >= OF_ROWS | OF_EVENTS | {"notifications_notification.data"}
    assert OutboxMessage.objects.filter(subscriber="quoting.patient", attempt=2).exists(), "a retry waits"
    assert_the_search_finds_keys()

    community.delete()
    soon = {"notifications_notification.data", "events_delivery.body"}
    assert places(POST) | places(COMMENT) <= soon, "at once, but for notices and refused bytes"
    assert not {place for place in places(STAYER) | places(LEAVER) if place.startswith("feeds_user.")}
    for step in OF_SWEEP if killed else ():
        processes.relay_dies(step)
    with processes.relay_alone():
        eventually(swept, within=120)
    points = [processes.worker_will_die(step) for step in OF_WORKERS if killed]
    with processes.workers():
        eventually(lambda: not any(point.exists() for point in points) and settled(), within=300)
        eventually(lambda: not places(POST), within=60)  # the next sweep
        assert_gone_and_no_more(before)
        assert_nothing_is_lost_or_done_twice()
        assert_nobody_who_is_gone_is_greeted_and_nothing_is_buried()
        for name in subscriptions:
            replay(name, events_for(name, suppressed=True))
        eventually(settled, within=240)
    assert_gone_and_no_more(before)
    assert_nothing_is_lost_or_done_twice()
    assert_nobody_who_is_gone_is_greeted_and_nothing_is_buried()
    assert not in_queues(GONE)


def swept() -> bool:
    """Whether no message that waits says what authors deleted; the other texts are still there for a worker."""
    try:
        in_queues((POST, COMMENT))
    except AssertionError:
        return False
    return True


def assert_the_search_finds_keys() -> None:
    with Redis.from_url(settings.REDIS_URL) as redis:
        key = f"{settings.REDIS_PREFIX}/planted"
        redis.hset(key, "said", f"{NEIGHBOUR} too")
        assert f"redis {key}" in places(NEIGHBOUR)
        redis.delete(key)
