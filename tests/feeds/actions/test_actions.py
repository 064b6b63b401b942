"""The actions of votes, follows, blocks and circles: repeated, at the same time, and refused."""

import pytest
from django.db import IntegrityError

from events.testing import emitted
from feeds import actions
from feeds.errors import InvalidError, NotAllowedError, NotFoundError, TakenError
from feeds.events import UserFollowed, VoteCreated, VoteDeleted, VoteUpdated
from feeds.models import Circle, Follow, Membership, Mute, Vote
from tests.support.at_once import at_once
from tests.support.factories import (
    CircleFactory,
    CommentFactory,
    FollowFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)
from tests.support.refusals import refused

pytestmark = pytest.mark.django_db

NO_SUCH_ID = 2**70


def test_a_vote_is_given_turned_round_and_taken_back() -> None:
    user, post = UserFactory(), PostFactory()
    entity = {"entity_type": "post", "entity_id": post.pk}
    for vote_type in ("up", "up", "down", "down"):
        assert actions.vote(user, **entity, vote_type=vote_type).vote_type == vote_type
    assert (len(emitted(VoteCreated)), len(emitted(VoteUpdated))) == (1, 1)
    assert Vote.objects.get().vote_type == "down"
    actions.retract_vote(user, **entity)
    actions.retract_vote(user, **entity)
    assert not Vote.objects.exists()


def test_nobody_votes_on_what_is_not_there() -> None:
    user = UserFactory()
    deleted, lost = PostFactory(), CommentFactory()
    orphan = CommentFactory()
    for row in (deleted, lost, orphan.post):
        row.delete()
    for entity_type, entity_id in (
        ("post", deleted.pk),
        ("comment", lost.pk),
        ("comment", orphan.pk),
        ("post", NO_SUCH_ID),
    ):
        entity = {"entity_type": entity_type, "entity_id": entity_id}
        refused(NotFoundError, act=lambda entity=entity: actions.vote(user, **entity, vote_type="up"))
        refused(NotFoundError, act=lambda entity=entity: actions.retract_vote(user, **entity))
    post = PostFactory()
    refused(
        InvalidError, "vote_type", act=lambda: actions.vote(user, entity_type="post", entity_id=post.pk, vote_type="+")
    )
    refused(
        InvalidError, "entity_type", act=lambda: actions.vote(user, entity_type="x", entity_id=post.pk, vote_type="up")
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("second", ["up", "down"])
def test_two_first_votes_at_once_are_one_vote(second: str) -> None:
    user, post = UserFactory(), PostFactory()
    entity = {"entity_type": "post", "entity_id": post.pk}
    at_once(
        *[lambda: actions.vote(user, **entity, vote_type="up")] * 2,
        *[lambda: actions.vote(user, **entity, vote_type=second)] * 2,
    )
    (created,), turns = emitted(VoteCreated), emitted(VoteUpdated)
    steps = [created.vote_type, *[turn.vote_type for turn in turns]]
    assert [turn.previous_vote_type for turn in turns] == steps[:-1]
    assert Vote.objects.get().vote_type == steps[-1]
    assert turns == [] if second == "up" else 1 <= len(turns) <= 3


@pytest.mark.django_db(transaction=True)
def test_votes_and_withdrawals_at_once_tell_the_truth() -> None:
    user, post = UserFactory(), PostFactory()
    entity = {"entity_type": "post", "entity_id": post.pk}
    for _ in range(5):
        at_once(
            lambda: actions.vote(user, **entity, vote_type="up"),
            lambda: actions.retract_vote(user, **entity),
            lambda: actions.vote(user, **entity, vote_type="down"),
            lambda: actions.retract_vote(user, **entity),
        )
    standing = len(emitted(VoteCreated)) - len(emitted(VoteDeleted))
    assert standing == Vote.objects.count()


def test_following_again_changes_nothing_but_the_bell() -> None:
    fan, star = UserFactory(), UserFactory(username="Star")
    assert actions.follow(fan, username="star").bell is None
    assert actions.follow(fan, username="STAR", bell=True).bell is True
    assert actions.follow(fan, username="star").bell is True
    assert actions.set_bell(fan, username="star", bell=None).bell is None
    assert Follow.objects.get().followee == star
    assert len(emitted(UserFollowed)) == 1
    actions.unfollow(fan, username="star")
    actions.unfollow(fan, username="star")
    refused(NotFoundError, act=lambda: actions.set_bell(fan, username="star", bell=False))


def test_nobody_follows_themselves_or_nobody() -> None:
    user = UserFactory()
    refused(InvalidError, "username", act=lambda: actions.follow(user, username=user.username.upper()))
    for name in ("nobody", "", "a\0", "\ud800", UserFactory(is_active=False).username):
        refused(NotFoundError, act=lambda name=name: actions.follow(user, username=name))
    with pytest.raises(IntegrityError):
        FollowFactory(follower=user, followee=user)


@pytest.mark.django_db(transaction=True)
def test_following_and_joining_at_once_happens_once() -> None:
    fan, star, circle = UserFactory(), UserFactory(), CircleFactory()
    at_once(
        *[lambda: actions.follow(fan, username=star.username)] * 3, *[lambda: actions.join(fan, slug=circle.slug)] * 3
    )
    assert len(emitted(UserFollowed)) == Follow.objects.count() == 1
    assert Membership.objects.filter(user=fan).count() == 1


def test_who_is_blocked_neither_comments_nor_votes_nor_follows() -> None:
    author, troll = UserFactory(), UserFactory()
    post = PostFactory(author=author)
    comment, elsewhere = CommentFactory(post=post), CommentFactory(author=author)
    VoteFactory(user=troll, post=post)
    actions.follow(troll, username=author.username)
    actions.follow(author, username=troll.username)
    actions.block(author, username=troll.username)
    actions.block(author, username=troll.username)
    assert not Follow.objects.exists()
    for act in (
        lambda: actions.comment(troll, post_id=post.pk, content="Hello"),
        lambda: actions.comment(troll, post_id=post.pk, parent_id=comment.pk, content="Hello"),
        lambda: actions.comment(troll, post_id=elsewhere.post_id, parent_id=elsewhere.pk, content="Hello"),
        lambda: actions.vote(troll, entity_type="post", entity_id=post.pk, vote_type="down"),
        lambda: actions.vote(troll, entity_type="comment", entity_id=elsewhere.pk, vote_type="down"),
        lambda: actions.follow(troll, username=author.username),
        lambda: actions.follow(author, username=troll.username),
    ):
        refused(NotAllowedError, act=act)
    actions.retract_vote(troll, entity_type="post", entity_id=post.pk)
    actions.comment(troll, post_id=elsewhere.post_id, content="Hello, others")
    actions.unblock(author, username=troll.username)
    actions.follow(troll, username=author.username)


def test_who_blocks_somebody_neither_comments_nor_votes_on_theirs() -> None:
    user, blocked = UserFactory(), UserFactory()
    post, comment = PostFactory(author=blocked), CommentFactory(author=blocked)
    actions.block(user, username=blocked.username)
    for act in (
        lambda: actions.comment(user, post_id=post.pk, content="Hello"),
        lambda: actions.comment(user, post_id=comment.post_id, parent_id=comment.pk, content="Hello"),
        lambda: actions.vote(user, entity_type="post", entity_id=post.pk, vote_type="down"),
        lambda: actions.vote(user, entity_type="comment", entity_id=comment.pk, vote_type="down"),
    ):
        refused(NotAllowedError, act=act)


def test_muting_hides_and_tells_nobody() -> None:
    user, loud = UserFactory(), UserFactory()
    actions.mute(user, username=loud.username)
    actions.mute(user, username=loud.username)
    assert Mute.objects.get().target == loud
    actions.follow(loud, username=user.username)
    actions.unmute(user, username=loud.username)
    actions.unmute(user, username=loud.username)
    assert not Mute.objects.exists()
    for act in (actions.mute, actions.block):
        refused(InvalidError, "username", act=lambda act=act: act(user, username=user.username))
        refused(NotFoundError, act=lambda act=act: act(user, username="nobody"))


def test_the_founder_of_a_circle_is_its_first_member() -> None:
    user = UserFactory()
    circle = actions.create_circle(user, name=" Green  Tea ", description="Leaves.")
    assert (circle.slug, circle.name, circle.owner) == ("green-tea", "Green Tea", user)
    assert list(circle.memberships.values_list("user", flat=True)) == [user.pk]
    assert actions.create_circle(user, name="茶").slug == "茶"
    refused(TakenError, "slug", act=lambda: actions.create_circle(user, name="Other", slug="GREEN-tea"))
    assert Circle.objects.with_member_count().get(slug="green-tea").member_count == 1


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "x" * 101, "slug": "x"}),
        ("slug", {"name": "Tea", "slug": "green tea"}),
        ("slug", {"name": "Tea", "slug": "x" * 51}),
        ("slug", {"name": "!!!"}),
        ("description", {"name": "Tea", "description": "x" * 2_001}),
    ],
)
def test_a_circle_that_cannot_be_is_refused(field: str, values: dict[str, str]) -> None:
    user = UserFactory()
    refused(InvalidError, field, act=lambda: actions.create_circle(user, **values))


def test_joining_and_leaving_again_is_fine() -> None:
    user, circle = UserFactory(), CircleFactory(slug="tea")
    for _ in range(2):
        actions.join(user, slug="Tea")
    assert Circle.objects.with_member_count().get().member_count == 2
    for _ in range(2):
        actions.leave(user, slug="tea")
    assert list(circle.memberships.values_list("user", flat=True)) == [circle.owner.pk]
    refused(NotFoundError, act=lambda: actions.join(user, slug="nowhere"))
