"""Who is blocked or muted is gone from notices, also from those of before; so is what has ended."""

import pytest

from events.testing import deliver
from feeds import actions
from feeds.models import User
from notifications import hiding
from notifications.kinds import COMMENT
from notifications.models import Notification, Stream
from notifications.notices.notices import notify
from tests.support.api_client import Program
from tests.support.beside import transaction_beside
from tests.support.factories import (
    CircleFactory,
    CommentFactory,
    FollowFactory,
    MembershipFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)
from tests.support.notices import kinds_of, notice_of

pytestmark = pytest.mark.django_db


def meet(alice: User, bob: User) -> None:
    """Whatever bob can do to be in alice's notices, without and with others."""
    post = PostFactory(author=alice)
    comment = CommentFactory(post=post, author=alice)
    CommentFactory(post=post, author=bob)
    CommentFactory(post=post, parent=comment, author=bob)
    CommentFactory(author=bob, content=f"@{alice.username}")
    VoteFactory(post=post, user=bob)
    VoteFactory(post=None, comment=comment, user=bob)
    VoteFactory(post=None, comment=comment)
    FollowFactory(follower=bob, followee=alice)
    FollowFactory(follower=alice, followee=bob)
    MembershipFactory(circle=CircleFactory(owner=alice), user=bob)
    CommentFactory(post=PostFactory(author=bob), content=f"@{alice.username}")
    deliver()


@pytest.mark.parametrize("hide", [actions.block, actions.mute])
def test_notices_of_before_are_gone_with_the_person(hide):
    alice, bob = UserFactory(), UserFactory()
    meet(alice, bob)
    assert {"post", "comment", "reply", "mention", "vote", "follow", "circle"} == set(kinds_of(alice))
    hide(alice, username=bob.username)
    vote = notice_of(alice, "vote")
    assert (vote.data["count"], bob.username in vote.data["names"]) == (1, False)
    assert kinds_of(alice) == ["vote"]
    assert Stream.objects.get(user=alice).unread == 2, "the welcome and the vote of another"
    page = Program(alice).get("/notifications").json()
    assert (len(page["items"]), page["unread"]) == (2, 2)


def test_a_block_takes_both_out_of_each_others_notices_and_a_mute_only_one():
    alice, bob, carol = UserFactory(), UserFactory(), UserFactory()
    for reader in (bob, carol):
        CommentFactory(post=PostFactory(author=reader), author=alice)
    deliver()
    actions.block(alice, username=bob.username)
    actions.mute(alice, username=carol.username)
    assert (kinds_of(bob), kinds_of(carol)) == ([], ["comment"])


def test_many_notices_are_hidden_in_chunks_by_continuation_events(monkeypatch):
    monkeypatch.setattr(hiding, "HIDDEN_PER_TRANSACTION", 2)
    alice, bob = UserFactory(), UserFactory()
    posts = PostFactory.create_batch(5, author=alice)
    for post in posts:
        CommentFactory(post=post, author=bob)
        VoteFactory(post=post, user=bob)
        VoteFactory(post=post)
    deliver()
    actions.block(alice, username=bob.username)
    assert kinds_of(alice).count("comment") == 3, "the rest follows"
    deliver(times=2)
    assert kinds_of(alice) == ["vote"] * 5
    votes = Notification.objects.shown().filter(user=alice, kind="vote")
    assert {vote.data["count"] for vote in votes} == {1}


def test_below_the_post_of_a_blocked_person_nobody_calls_one():
    alice, bob = UserFactory(), UserFactory()
    post = PostFactory(author=bob)
    comment = CommentFactory(post=post, author=alice)
    actions.block(alice, username=bob.username)
    CommentFactory(post=post, content=f"@{alice.username}")
    CommentFactory(post=post, parent=comment)
    VoteFactory(post=None, comment=comment)
    deliver()
    assert kinds_of(alice) == []


def test_an_end_of_the_block_brings_no_notice_back_but_the_next_one_comes():
    alice, bob = UserFactory(), UserFactory()
    post = PostFactory(author=alice)
    CommentFactory(post=post, author=bob)
    deliver()
    actions.block(alice, username=bob.username)
    actions.unblock(alice, username=bob.username)
    assert kinds_of(alice) == []
    CommentFactory(post=post, author=bob)
    deliver()
    assert kinds_of(alice) == ["comment"]


def test_the_notice_of_a_follow_ends_with_it_and_returns_with_it_without_a_bell():
    follow = FollowFactory()
    followee, follower = follow.followee, follow.follower
    deliver()
    follow.delete()
    deliver(times=2)
    assert (kinds_of(followee), Stream.objects.get(user=followee).unread) == ([], 1)
    Notification.objects.filter(user=followee, kind="follow").update(read_at="2026-01-01T00:00Z")
    FollowFactory(follower=follower, followee=followee)
    deliver(times=2)
    assert (kinds_of(followee), Stream.objects.get(user=followee).unread) == (["follow"], 1)


def test_the_notice_of_a_member_who_left_is_withdrawn():
    membership = MembershipFactory()
    owner = membership.circle.owner
    deliver()
    assert kinds_of(owner) == ["circle"]
    membership.delete()
    deliver(times=2)
    assert kinds_of(owner) == []


def test_a_notice_says_the_title_that_its_post_or_circle_has_today():
    post, membership = PostFactory(title="A secret"), MembershipFactory()
    owner = membership.circle.owner
    CommentFactory(post=post)
    deliver()
    actions.edit_post(post.author, post_id=post.pk, title="Nothing to see")
    membership.circle.name = "Renamed"
    membership.circle.save()
    texts = [item["text"] for reader in (post.author, owner) for item in Program(reader).items("/notifications")]
    assert not any("secret" in text for text in texts)
    assert any("Nothing to see" in text for text in texts)
    assert any("Renamed" in text for text in texts)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_notice_under_way_sees_a_block_that_commits_first():
    alice, bob = UserFactory(), UserFactory()
    comment = CommentFactory(post=PostFactory(author=alice), author=bob)
    with transaction_beside(lambda: notify(COMMENT.notices(comment))):
        actions.block(alice, username=bob.username)
    assert kinds_of(alice) == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_block_waits_for_a_notice_under_way_and_withdraws_it():
    alice, bob = UserFactory(), UserFactory()
    comment = CommentFactory(post=PostFactory(author=alice), author=bob)
    with transaction_beside(lambda: actions.block(alice, username=bob.username)):
        notify(COMMENT.notices(comment))
    assert kinds_of(alice) == []
