"""Which change notifies whom: every way from the model to the notice."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from events.testing import deliver, emitted
from feeds.models import Vote
from notifications import subscribers
from notifications.events import BellsContinued, WithdrawalContinued
from notifications.models import Notification, Stream
from notifications.notices import notices
from notifications.notices.votes import upvotes
from tests.support.factories import (
    BlockFactory,
    CircleFactory,
    CommentFactory,
    FollowFactory,
    MembershipFactory,
    MuteFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)
from tests.support.notices import kinds_of, notice_of

pytestmark = pytest.mark.django_db

LONG_AGO = timezone.now() - timedelta(days=400)


def test_a_new_user_is_welcomed_once():
    user = UserFactory()
    deliver(times=2)
    assert kinds_of(user, "-") == ["welcome"]
    assert Stream.objects.get(user=user).unread == 1


def test_a_follow_notifies_the_followed_user_of_the_follower():
    follow = FollowFactory()
    deliver(times=2)
    assert kinds_of(follow.followee) == ["follow"]
    assert notice_of(follow.followee, "follow").data["names"] == [follow.follower.username]
    assert kinds_of(follow.follower) == []


def test_following_again_and_again_notifies_once():
    follow = FollowFactory()
    deliver()
    follow.delete()
    FollowFactory(follower=follow.follower, followee=follow.followee)
    deliver()
    assert kinds_of(follow.followee) == ["follow"]
    assert Stream.objects.get(user=follow.followee).seq == 2


def test_a_post_notifies_the_followers_whose_bell_is_on():
    post_author = UserFactory()
    default, on, off = (FollowFactory(followee=post_author, bell=bell).follower for bell in (None, True, False))
    post = PostFactory(author=post_author)
    deliver(times=2)
    assert [kinds_of(user) for user in (default, on, off)] == [["post"], ["post"], []]
    assert notice_of(on, "post").data["post_id"] == post.pk
    assert kinds_of(post_author) == ["follow"] * 3


def test_above_the_threshold_only_followers_who_switched_the_bell_on_are_notified(settings):
    settings.FANOUT_THRESHOLD = 2
    author = UserFactory()
    silent = [FollowFactory(followee=author).follower for _ in range(2)]
    on = FollowFactory(followee=author, bell=True).follower
    PostFactory(author=author)
    deliver()
    assert [kinds_of(user) for user in (*silent, on)] == [[], [], ["post"]]


def test_many_followers_are_notified_in_chunks_by_continuation_events(monkeypatch):
    monkeypatch.setattr(subscribers, "MIN_FOLLOWERS_PER_POST", 2)
    monkeypatch.setattr(subscribers, "NOTICES_PER_TRANSACTION", 2)
    author = UserFactory()
    followers = [FollowFactory(followee=author).follower for _ in range(5)]
    PostFactory(author=author)
    deliver(times=2)
    assert [kinds_of(user) for user in followers] == [["post"]] * 5
    assert [event.after_follower_id for event in emitted(BellsContinued)] == [followers[1].pk, followers[3].pk]


def test_posts_of_several_authors_notify_their_own_followers():
    follows = [FollowFactory() for _ in range(3)]
    posts = [PostFactory(author=follow.followee) for follow in follows]
    deliver(times=2)
    heard = [notice_of(follow.follower, "post").data["post_id"] for follow in follows]
    assert heard == [post.pk for post in posts]


def test_a_draft_notifies_nobody_until_it_is_published():
    author = FollowFactory().followee
    post = PostFactory(author=author, status="draft", body="@everyone")
    deliver()
    assert not Notification.objects.filter(kind="post").exists()
    post.status = "published"
    post.save()
    deliver()
    assert Notification.objects.filter(kind="post").count() == 1


def test_a_post_deleted_before_its_event_is_handled_notifies_nobody():
    post = PostFactory(author=FollowFactory().followee)
    post.delete()
    deliver()
    assert not Notification.objects.filter(kind="post").exists()


def test_a_mentioned_follower_is_notified_of_a_post_once_as_a_mention():
    follow = FollowFactory()
    post = PostFactory(author=follow.followee, body=f"Hello @{follow.follower.username}")
    deliver(times=2)
    assert kinds_of(follow.follower) == ["mention"]
    assert notice_of(follow.follower, "mention").data["post_id"] == post.pk


@pytest.mark.parametrize("text", ["交给@anna处理", "@annaさん", "@anna的", "@anna님", "＠anna", "__@anna__", "@anna_"])
def test_a_mention_with_text_behind_the_name_notifies_the_person(text):
    anna = UserFactory(username="Anna")
    PostFactory(body=text)
    deliver()
    assert kinds_of(anna) == ["mention"]


@pytest.mark.parametrize("is_active", [True, False])
def test_of_the_names_that_a_mention_may_mean_the_longest_counts(is_active):
    anna, longer = UserFactory(username="anna"), UserFactory(username="anna处理", is_active=is_active)
    PostFactory(body="交给@anna处理这个")
    deliver()
    assert kinds_of(anna) == []
    assert kinds_of(longer) == (["mention"] if is_active else [])


def test_a_mention_in_code_notifies_nobody():
    user = UserFactory()
    PostFactory(body=f"`@{user.username}`")
    deliver()
    assert kinds_of(user) == []


def test_an_edit_notifies_only_users_mentioned_for_the_first_time():
    first, second = UserFactory(), UserFactory()
    post = PostFactory(body=f"@{first.username}")
    deliver()
    before = notice_of(first, "mention").seq
    post.body += f" and @{second.username}"
    post.save()
    deliver(times=2)
    assert kinds_of(second) == ["mention"]
    assert notice_of(first, "mention").seq == before


def test_a_follower_mentioned_by_an_edit_gets_the_mention_instead():
    follow = FollowFactory()
    post = PostFactory(author=follow.followee)
    deliver()
    notices.mark_read(follow.follower_id, upto=100)
    post.body = f"@{follow.follower.username}"
    post.save()
    deliver(times=2)
    assert kinds_of(follow.follower) == ["mention"]
    assert Stream.objects.get(user=follow.follower).unread == 1


def test_a_comment_notifies_each_user_once_and_never_its_author():
    post = PostFactory()
    parent = CommentFactory(post=post)
    called = UserFactory()
    words = f"@{post.author.username} @{parent.author.username} @{called.username}"
    comment = CommentFactory(post=post, parent=parent, content=words)
    deliver(times=2)
    assert kinds_of(post.author) == ["comment", "comment"]
    assert kinds_of(parent.author) == ["reply"]
    assert kinds_of(called) == ["mention"]
    assert kinds_of(comment.author) == []
    assert notice_of(called, "mention").data == {
        "post_id": post.pk,
        "comment_id": comment.pk,
        "title": post.title,
        "actors": [comment.author_id],
        "names": [comment.author.username],
        "count": 1,
    }


def test_a_reply_to_a_comment_of_the_posts_author_is_a_reply():
    post = PostFactory()
    parent = CommentFactory(post=post, author=post.author)
    CommentFactory(post=post, parent=parent)
    deliver(times=2)
    assert kinds_of(post.author) == ["reply"]


def test_a_reply_to_oneself_notifies_nobody():
    post = PostFactory()
    parent = CommentFactory(post=post, author=post.author)
    CommentFactory(post=post, parent=parent, author=post.author, content=f"@{post.author.username}")
    VoteFactory(post=post, user=post.author)
    deliver()
    assert kinds_of(post.author) == []


def test_an_edited_comment_notifies_the_newly_mentioned():
    called = UserFactory()
    comment = CommentFactory()
    deliver()
    comment.content = f"@{called.username} @{comment.post.author.username}"
    comment.save()
    deliver(times=2)
    assert kinds_of(called) == ["mention"]
    assert kinds_of(comment.post.author) == ["comment"]


def test_upvotes_gather_in_one_notice_that_grows():
    post = PostFactory()
    first = VoteFactory(post=post).user
    deliver(times=2)
    before = notice_of(post.author, "vote")
    assert before.data["names"] == [first.username]
    notices.mark_read(post.author_id, upto=before.seq)
    voters = [VoteFactory(post=post).user for _ in range(3)]
    deliver(times=2)
    after = notice_of(post.author, "vote")
    assert after.pk == before.pk
    assert after.seq > before.seq
    assert after.data["count"] == 4
    assert after.data["names"] == [user.username for user in reversed(voters)]
    assert after.is_unread
    assert Stream.objects.get(user=post.author).unread == 1


def test_upvotes_are_counted_without_a_query_for_each(django_assert_num_queries):
    author, silenced = UserFactory(), UserFactory()
    MuteFactory(user=author, target=silenced)
    posts = [PostFactory(author=author) for _ in range(2)]
    voters = [VoteFactory(post=posts[0]).user for _ in range(5)]
    VoteFactory(post=posts[0], user=silenced)
    VoteFactory(post=posts[0], user=author)
    VoteFactory(post=posts[1], user=voters[0])
    # The posts; the newest votes of each; the number of votes where not all voters are named; the names.
    with transaction.atomic(), django_assert_num_queries(5) as queries:
        many, one = upvotes([("post", post.pk) for post in posts], [])
    assert (many.total, many.actors) == (5, [user.pk for user in reversed(voters[2:])])
    assert (one.total, one.names) == (1, [voters[0].username])
    assert not [query["sql"] for query in queries if " OVER " in query["sql"] or "EXISTS" in query["sql"]]


def test_a_downvote_notifies_nobody():
    post = PostFactory()
    VoteFactory(post=post, vote_type="down")
    deliver()
    assert kinds_of(post.author) == []


def test_a_downvote_changed_to_an_upvote_notifies_the_author_however_old():
    post = PostFactory()
    vote = VoteFactory(post=post, vote_type="down", created_at=LONG_AGO)
    deliver()
    vote.vote_type = "up"
    vote.save()
    deliver(times=2)
    assert kinds_of(post.author) == ["vote"]


def test_a_vote_taken_back_shrinks_the_notice_which_stays_read():
    post = PostFactory()
    votes = [VoteFactory(post=post) for _ in range(2)]
    deliver()
    seen = notice_of(post.author, "vote").seq
    notices.mark_read(post.author_id, upto=seen)
    votes[1].delete()
    deliver(times=2)
    notice = notice_of(post.author, "vote")
    assert notice.data["count"] == 1
    assert notice.data["names"] == [votes[0].user.username]
    assert notice.seq > seen
    assert not notice.is_unread
    votes[0].delete()
    deliver(times=2)
    assert kinds_of(post.author) == []
    assert Stream.objects.get(user=post.author).unread == 0


def test_an_upvote_changed_to_a_downvote_leaves_the_notice():
    vote = VoteFactory(post=(post := PostFactory()))
    deliver()
    vote.vote_type = "down"
    vote.save()
    deliver(times=2)
    assert kinds_of(post.author) == []


def test_a_withdrawn_vote_notice_comes_back_with_the_next_vote():
    vote = VoteFactory(post=(post := PostFactory()))
    deliver()
    vote.delete()
    deliver()
    VoteFactory(post=post)
    deliver(times=2)
    assert kinds_of(post.author) == ["vote"]
    assert notice_of(post.author, "vote").is_unread


@pytest.mark.parametrize("read", [True, False])
def test_an_upvote_taken_back_and_repeated_is_shown_again_and_does_not_notify_again(read):
    voter, post = UserFactory(), PostFactory()
    VoteFactory(user=voter, post=post)
    deliver(times=2)
    if read:
        notices.mark_read(post.author_id, upto=notice_of(post.author, "vote").seq)
    waiting = Stream.objects.get(user=post.author).unread
    for _ in range(2):
        Vote.objects.get().delete()
        deliver(times=2)
        assert kinds_of(post.author) == []
        VoteFactory(user=voter, post=post)
        deliver(times=2)
        assert kinds_of(post.author) == ["vote"]
        assert notice_of(post.author, "vote").is_unread is not read
        assert Stream.objects.get(user=post.author).unread == waiting


def test_votes_on_a_comment_notify_its_author_of_the_comment():
    comment = CommentFactory()
    VoteFactory(comment=comment)
    deliver(times=2)
    assert kinds_of(comment.author) == ["vote"]
    assert notice_of(comment.author, "vote").data["comment_id"] == comment.pk


def test_the_owner_is_notified_of_new_members_but_not_of_oneself():
    membership = MembershipFactory(circle=CircleFactory())
    deliver(times=2)
    owner = membership.circle.owner
    assert kinds_of(owner) == ["circle"]
    data = notice_of(owner, "circle").data
    assert (data["circle"], data["names"]) == (membership.circle.slug, [membership.user.username])


@pytest.mark.parametrize("silence", [BlockFactory, MuteFactory])
def test_blocked_and_muted_users_never_notify(silence):
    user, other = UserFactory(), UserFactory()
    silence(user=user, target=other)
    post = PostFactory(author=user)
    parent = CommentFactory(post=post, author=user)
    CommentFactory(post=post, parent=parent, author=other, content=f"@{user.username}")
    VoteFactory(post=post, user=other)
    FollowFactory(follower=other, followee=user)
    FollowFactory(follower=user, followee=other)
    PostFactory(author=other, body=f"@{user.username}")
    MembershipFactory(circle=CircleFactory(owner=user), user=other)
    deliver()
    assert kinds_of(user) == []


def test_of_several_voters_only_the_silenced_ones_are_left_out():
    post = PostFactory()
    MuteFactory(user=post.author, target=VoteFactory(post=post).user)
    BlockFactory(user=VoteFactory(post=post).user, target=post.author)
    heard = VoteFactory(post=post).user
    deliver()
    data = notice_of(post.author, "vote").data
    assert (data["count"], data["names"]) == (1, [heard.username])


def test_nobody_is_notified_of_the_past():
    reader = UserFactory(date_joined=LONG_AGO)
    author = UserFactory(date_joined=LONG_AGO)
    FollowFactory(follower=reader, followee=author, created_at=LONG_AGO)
    circle = CircleFactory(owner=author, created_at=LONG_AGO)
    MembershipFactory(circle=circle, user=reader, created_at=LONG_AGO)
    post = PostFactory(author=author, created_at=LONG_AGO, published_at=LONG_AGO, body=f"@{reader.username}")
    CommentFactory(post=post, author=reader, created_at=LONG_AGO, content=f"@{author.username}")
    VoteFactory(post=post, user=reader, created_at=LONG_AGO)
    deliver()
    assert not Notification.objects.shown().exists()


def test_an_edit_of_an_old_text_notifies_only_the_newly_mentioned():
    known, new = UserFactory(), UserFactory()
    post = PostFactory(created_at=LONG_AGO, published_at=LONG_AGO, body=f"@{known.username}")
    deliver()
    post.body += f" @{new.username}"
    post.save()
    deliver()
    assert (kinds_of(known), kinds_of(new)) == ([], ["mention"])


def test_the_notices_of_a_deleted_post_are_withdrawn():
    follower = FollowFactory(followee=(author := UserFactory())).follower
    post = PostFactory(author=author)
    comment = CommentFactory(post=post)
    VoteFactory(post=post)
    VoteFactory(comment=comment)
    deliver()
    assert kinds_of(follower) == ["post"]
    assert kinds_of(post.author) == ["follow", "comment", "vote"]
    post.delete()
    deliver(times=2)
    assert kinds_of(follower) == []
    assert kinds_of(post.author) == ["follow"]
    assert kinds_of(comment.author) == []
    assert Stream.objects.get(user=post.author).unread == 2


def test_many_notices_are_withdrawn_in_chunks(monkeypatch):
    monkeypatch.setattr(notices, "NOTICES_PER_TRANSACTION", 2)
    author = UserFactory()
    followers = [FollowFactory(followee=author).follower for _ in range(5)]
    post = PostFactory(author=author)
    deliver()
    post.delete()
    deliver()
    assert [kinds_of(user) for user in followers] == [[]] * 5
    assert len(emitted(WithdrawalContinued)) == 2


def test_the_notices_of_a_deleted_comment_are_withdrawn_and_others_stay():
    post = PostFactory()
    parent = CommentFactory(post=post)
    reply = CommentFactory(post=post, parent=parent)
    VoteFactory(comment=parent)
    deliver()
    parent.delete()
    deliver(times=2)
    assert kinds_of(post.author) == ["comment"]
    assert notice_of(post.author, "comment").data["comment_id"] == reply.pk
    assert kinds_of(parent.author) == ["reply"]


def test_a_comment_deleted_before_its_event_is_handled_notifies_nobody():
    comment = CommentFactory()
    comment.delete()
    deliver()
    assert kinds_of(comment.post.author) == []


def test_every_change_has_a_number_of_its_own():
    post = PostFactory()
    votes = [VoteFactory(post=post) for _ in range(3)]
    CommentFactory(post=post)
    deliver()
    for vote in votes:
        vote.delete()
        deliver()
    rows = Notification.objects.filter(user=post.author)
    assert len(set(rows.values_list("seq", flat=True))) == rows.count()
    assert Stream.objects.get(user=post.author).seq == max(rows.values_list("seq", flat=True))
