"""Feeds against the reference model: any actions, with events delivered in any order and any number of times."""

from __future__ import annotations

import datetime as dt
from random import Random

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from events.inbox.message import ReceivedMessage
from events.models import Delivery, OutboxMessage
from events.subscription import subscriptions
from events.testing import run, take
from feeds import actions
from feeds.errors import RefusedError
from feeds.home_feed import recipients
from feeds.lists.home import list_home_feed
from feeds.lists.posts import list_posts
from feeds.models import EntityCounts, SearchDocument, Uncounted, User
from feeds.search.search import search_posts
from tests.feeds.reference_model import Model, ModelComment, ModelPost
from tests.support.factories import CircleFactory, UserFactory

PEOPLE, ALL = 4, 100
WORDS = ("tea", "database", "数据库", "東京")
COUNTERS = ("feeds.count_votes", "feeds.count_comments")

numbers = st.integers(min_value=0, max_value=ALL - 1)
people = st.integers(min_value=0, max_value=PEOPLE - 1)


class Community(RuleBasedStateMachine):
    """The site and its model side by side. Relayed events stay in `waiting` until a rule delivers some of them."""

    def __init__(self) -> None:
        super().__init__()
        self.sandbox = transaction.atomic()
        self.sandbox.__enter__()
        self.model = Model()
        self.people: list[int] = []
        self.slugs: dict[int | None, str | None] = {None: None}
        self.waiting: list[tuple[str, ReceivedMessage]] = []
        self.delivered: list[tuple[str, ReceivedMessage]] = []
        self.actor: int | None = None

    def teardown(self) -> None:
        try:
            if self.people:
                self.everything_arrives(Random(0))
        finally:
            transaction.set_rollback(True)
            self.sandbox.__exit__(None, None, None)

    @initialize()
    def open(self) -> None:
        people = UserFactory.create_batch(PEOPLE)
        self.people = [person.pk for person in people]
        for owner in people[:2]:
            circle = CircleFactory(owner=owner)
            self.slugs[circle.pk] = circle.slug
            self.model.owners[circle.pk] = owner.pk
            self.model.members.add((circle.pk, owner.pk))
        for one in range(2):
            self.post(one, set(WORDS), one, "published")
            self.follow(one, 1 - one)
            self.vote(one, 1 - one, "post", "up")

    # Actions ---------------------------------------------------------------------------------------------------------

    def act(self, user_id: int, action, *, may: bool, **arguments):
        """Call the action; it must be refused exactly if the model refuses it."""
        self.actor, answer, refusal = user_id, None, None
        try:
            answer = action(User.objects.get(pk=user_id), **arguments)
        except RefusedError as refused:
            refusal = refused
        allowed = may and user_id not in self.model.closed
        assert (refusal is None) == allowed, f"{action.__name__}: {refusal!r}, the model says {allowed}"
        return answer, allowed

    def name_of(self, user_id: int) -> str:
        return User.objects.get(pk=user_id).username

    def pick(self, rows, number: int):
        return sorted(rows)[number % len(rows)] if rows else None

    def circle(self, number: int) -> int | None:
        return [*self.slugs][number % len(self.slugs)]

    @rule(one=people, other=people)
    def follow(self, one: int, other: int) -> None:
        user, target = self.people[one], self.people[other]
        may = user != target and target not in self.model.closed and not self.model.apart(user, target)
        if self.act(user, actions.follow, may=may, username=self.name_of(target))[1]:
            self.model.follows.add((user, target))

    @rule(one=people, other=people)
    def unfollow(self, one: int, other: int) -> None:
        user, target = self.people[one], self.people[other]
        if self.act(user, actions.unfollow, may=True, username=self.name_of(target))[1]:
            self.model.follows.discard((user, target))

    @rule(one=people, other=people, verb=st.sampled_from(["block", "mute", "unblock", "unmute"]))
    def keep_away(self, one: int, other: int, verb: str) -> None:
        user, target = self.people[one], self.people[other]
        may = user != target or verb.startswith("un")
        if not self.act(user, getattr(actions, verb), may=may, username=self.name_of(target))[1]:
            return
        match verb:
            case "block":
                self.model.block(user, target)
            case "mute":
                self.model.mutes.add((user, target))
            case "unblock":
                self.model.blocks.discard((user, target))
            case "unmute":
                self.model.mutes.discard((user, target))

    @rule(one=people, number=numbers, verb=st.sampled_from(["join", "leave"]))
    def move(self, one: int, number: int, verb: str) -> None:
        circle = self.pick(self.model.owners, number)
        if self.act(self.people[one], getattr(actions, verb), may=True, slug=self.slugs[circle])[1]:
            change = self.model.members.add if verb == "join" else self.model.members.discard
            change((circle, self.people[one]))

    @rule(
        one=people,
        words=st.sets(st.sampled_from(WORDS), min_size=1),
        number=numbers,
        status=st.sampled_from(["published", "published", "draft"]),
    )
    def post(self, one: int, words: set[str], number: int, status: str) -> None:
        circle = self.circle(number)
        post, done = self.act(
            self.people[one],
            actions.create_post,
            may=True,
            title="Post",
            body=" ".join(sorted(words)),
            circle=self.slugs[circle],
            status=status,
        )
        if done:
            self.model.posts[post.pk] = ModelPost(post.author_id, words, circle, post.published_at)

    @rule(
        one=people,
        number=numbers,
        change=st.sampled_from(["words", "circle", "publish"]),
        words=st.sets(st.sampled_from(WORDS), min_size=1),
        circle=numbers,
    )
    def edit(self, one: int, number: int, change: str, words: set[str], circle: int) -> None:
        if (post_id := self.pick(self.model.posts, number)) is None:
            return
        was, user = self.model.posts[post_id], self.people[one]
        place = self.circle(circle)
        changes = {
            "words": {"body": " ".join(sorted(words))},
            "circle": {"circle": self.slugs[place]},
            "publish": {"status": "published"},
        }[change]
        may = not was.deleted and was.author == user
        post, done = self.act(user, actions.edit_post, may=may, post_id=post_id, **changes)
        if not done:
            return
        if change == "words":
            was.words = words
        elif change == "circle":
            was.circle = place
        else:
            was.published_at = post.published_at

    @rule(one=people, number=numbers)
    def delete_post(self, one: int, number: int) -> None:
        if (post_id := self.pick(self.model.posts, number)) is None:
            return
        post, user = self.model.posts[post_id], self.people[one]
        may = not post.deleted and (post.author == user or (post.visible and self.model.moderates(user, post)))
        if self.act(user, actions.delete_post, may=may, post_id=post_id)[1]:
            post.deleted = True

    @rule(one=people, number=numbers, parent=st.none() | numbers)
    def comment(self, one: int, number: int, parent: int | None) -> None:
        if (post_id := self.pick(self.model.posts, number)) is None:
            return
        post, user = self.model.posts[post_id], self.people[one]
        answered = None if parent is None else self.pick(self.model.comments, parent)
        above = None if answered is None else self.model.comments[answered]
        may = post.visible and (above is None or (above.post == post_id and not above.deleted))
        may = may and not self.model.apart(user, post.author, *([above.author] if above else []))
        made, done = self.act(user, actions.comment, may=may, post_id=post_id, content="Yes.", parent_id=answered)
        if done:
            self.model.comments[made.pk] = ModelComment(post_id, user)
            self.model.said[user, post_id] += 1

    @rule(one=people, number=numbers)
    def delete_comment(self, one: int, number: int) -> None:
        if (comment_id := self.pick(self.model.comments, number)) is None:
            return
        comment, user = self.model.comments[comment_id], self.people[one]
        mine = comment.author == user or self.model.moderates(user, self.model.posts[comment.post])
        if self.act(user, actions.delete_comment, may=not comment.deleted and mine, comment_id=comment_id)[1]:
            self.model.delete_comment(user, comment_id)

    @rule(
        one=people, number=numbers, on=st.sampled_from(["post", "post", "comment"]), way=st.sampled_from(["up", "down"])
    )
    def vote(self, one: int, number: int, on: str, way: str) -> None:
        if (key := self.entity(on, number)) is None:
            return
        user = self.people[one]
        may = self.model.visible(key) and not self.model.apart(user, self.model.author(key))
        if self.act(user, actions.vote, may=may, entity_type=on, entity_id=key[1], vote_type=way)[1]:
            self.model.votes[user, key] = way

    @rule(one=people, number=numbers, on=st.sampled_from(["post", "comment"]))
    def retract(self, one: int, number: int, on: str) -> None:
        if (key := self.entity(on, number)) is None:
            return
        user = self.people[one]
        if self.act(user, actions.retract_vote, may=self.model.visible(key), entity_type=on, entity_id=key[1])[1]:
            self.model.votes.pop((user, key), None)

    @rule(number=numbers)
    def turn_round(self, number: int) -> None:
        """A user changes or removes a vote."""
        if (cast := self.pick(self.model.votes, number)) is None:
            return
        (user, key), way = cast, "down" if self.model.votes[cast] == "up" else "up"
        may = self.model.visible(key) and not self.model.apart(user, self.model.author(key))
        if self.act(user, actions.vote, may=may, entity_type=key[0], entity_id=key[1], vote_type=way)[1]:
            self.model.votes[cast] = way

    def entity(self, on: str, number: int) -> tuple[str, int] | None:
        row = self.pick(self.model.posts if on == "post" else self.model.comments, number)
        return None if row is None else (on, row)

    @rule(one=people, banned=st.booleans())
    def ban(self, one: int, banned: bool) -> None:
        user = User.objects.get(pk=self.people[one])
        if user.pk in self.model.gone:
            return
        user.is_active = not banned
        user.save()
        (self.model.closed.add if banned else self.model.closed.discard)(user.pk)

    @rule(one=people)
    def stay_away(self, one: int) -> None:
        User.objects.filter(pk=self.people[one]).update(last_seen_at=timezone.now() - dt.timedelta(days=8))

    @rule(one=st.just(PEOPLE - 1))
    def delete_account(self, one: int) -> None:
        if self.act(self.people[one], actions.delete_account, may=True)[1]:
            self.model.leave(self.people[one])

    # Delivery --------------------------------------------------------------------------------------------------------

    @rule(dice=st.randoms(use_true_random=False), share=st.floats(min_value=0, max_value=1))
    def some_arrives(self, dice: Random, share: float) -> None:
        """Deliver some of the waiting events, in any order and group size, and some delivered ones again."""
        self.collect()
        dice.shuffle(self.waiting)
        count = round(share * len(self.waiting))
        now, self.waiting = self.waiting[:count], self.waiting[count:]
        again = dice.sample(self.delivered, min(len(self.delivered), dice.randint(0, 3)))
        self.bring(now + again + dice.sample(now, min(len(now), dice.randint(0, 2))), dice)

    @rule(dice=st.randoms(use_true_random=False))
    def everything_arrives(self, dice: Random) -> None:
        """Deliver all events, and those that follow; then feeds, counts, ranks and index equal the model."""
        self.collect()
        while self.waiting:
            dice.shuffle(self.waiting)
            now, self.waiting = self.waiting, []
            self.bring(now, dice)
            self.collect()
        self.check()

    def collect(self) -> None:
        self.waiting += [(name, arrival) for name, arrivals in take().items() for arrival in arrivals]

    def bring(self, now: list[tuple[str, ReceivedMessage]], dice: Random) -> None:
        while now:
            name = now[0][0]
            size = dice.randint(1, subscriptions[name].group_size)
            group = [one for one in now if one[0] == name][:size]
            now = [one for one in now if not any(one is other for other in group)]
            run(name, [arrival for _, arrival in group])
            known = {(subscriber, arrival.event_id) for subscriber, arrival in self.delivered}
            for one in group:
                envelope = one[1].envelope
                assert envelope is not None
                if (name, envelope.id) not in known:
                    known.add((name, envelope.id))
                    self.delivered.append(one)
                    if name in COUNTERS:
                        self.model.count(envelope.topic, dict(envelope.data))

    # Reading ---------------------------------------------------------------------------------------------------------

    @invariant()
    def the_actor_never_sees_the_asynchrony(self) -> None:
        """Before delivery: own posts, votes and comments are shown, hidden ones are not."""
        if self.actor is None or self.actor in self.model.closed:
            return
        viewer, model = User.objects.get(pk=self.actor), self.model
        listed = list_posts("new", viewer=viewer, size=ALL).items
        assert {post.pk for post in listed} == model.shown(viewer.pk)
        for post in listed:
            key = ("post", post.pk)
            assert (post.upvotes, post.downvotes, post.comment_count) == model.numbers_for(viewer.pk, key)
            assert post.my_vote == model.votes.get((viewer.pk, key))
        feed, wanted = {post.pk for post in list_home_feed(viewer, size=ALL).items}, set(model.home(viewer.pk))
        own = {post_id for post_id in wanted if model.posts[post_id].author == viewer.pk}
        assert own <= feed <= wanted
        assert own <= {post.pk for post in list_posts("hot", viewer=viewer, size=ALL).items}
        self.actor = None

    def check(self) -> None:
        model = self.model
        assert not OutboxMessage.objects.exists()
        assert not Uncounted.objects.exists()
        assert not Delivery.objects.exclude(state="done").exists()
        held = {(row.entity_type, row.entity_id): row for row in EntityCounts.objects.all()}
        published = {("post", pk) for pk, post in model.posts.items() if post.published_at is not None}
        assert set(held) == published | {("comment", pk) for pk in model.comments}
        for key, row in held.items():
            up, down, comments = model.numbers(key)
            assert (row.upvotes, row.downvotes, row.score, row.comments) == (up, down, up - down, comments)
            assert row.hot == (pytest.approx(model.hot(key[1]), abs=1e-6) if key[0] == "post" else 0)
        visible = {pk for pk, post in model.posts.items() if post.visible}
        assert set(SearchDocument.objects.values_list("pk", flat=True)) == visible
        for user_id in self.people:
            if user_id in model.closed:
                continue
            viewer = User.objects.get(pk=user_id)
            assert [post.pk for post in list_home_feed(viewer, size=ALL).items] == model.home(user_id)
            for word in WORDS:
                assert {post.pk for post in search_posts(word, viewer=viewer, size=ALL).items} == model.found(
                    user_id, word
                )
            hot = sorted(model.shown(user_id), key=lambda pk: (round(model.hot(pk), 7), pk), reverse=True)
            top = sorted(
                model.shown(user_id),
                key=lambda pk: (model.numbers(("post", pk))[0] - model.numbers(("post", pk))[1], pk),
                reverse=True,
            )
            assert [post.pk for post in list_posts("hot", viewer=viewer, size=ALL).items] == hot
            assert [post.pk for post in list_posts("top", viewer=viewer, size=ALL).items] == top


@pytest.mark.parametrize("threshold", [0, 2, 1000])
@pytest.mark.parametrize(
    "examples",
    [3, *(pytest.param(many, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]) for many in (100, 400))],
)
@pytest.mark.django_db
def test_feeds_counts_ranks_and_index_are_those_of_a_plain_model(monkeypatch, settings, threshold, examples):
    settings.FANOUT_THRESHOLD = threshold
    monkeypatch.setattr(recipients, "RECIPIENTS_PER_CHUNK", 2)
    run_state_machine_as_test(Community, settings=profile(examples))


def profile(examples: int) -> settings:
    """The short run is the same every time and reports the first failure.

    The long run differs every time and searches for the shortest failing example, which takes minutes.
    """
    return settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        derandomize=examples < 100,
        phases=[Phase.generate] if examples < 100 else list(Phase),
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
