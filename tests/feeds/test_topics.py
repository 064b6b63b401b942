"""Every topic: the right payload, once per change, for every way to write; no event after a rollback."""

import pytest
from django.core import serializers
from django.db import transaction

from events.event import catalogue
from events.testing import deliver, emitted
from feeds import actions, events
from feeds.models import Comment, Follow, Membership, Post, Uncounted, User, Vote
from tests.feeds.topic_cases import TOPIC_CASES, TopicCase
from tests.support.at_once import at_once
from tests.support.factories import (
    CommentFactory,
    FollowFactory,
    MembershipFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)
from tests.support.ways_to_write import delete_selected_in_admin, save, staff_client

WAYS = [pytest.param(case, way, id=f"{case}-by-{way}") for case in TOPIC_CASES for way in case.ways]


def make_change(way: str, case: TopicCase) -> tuple[object, list]:
    """Make the change on a new scene and run the subscribers; return the scene and the emitted events."""
    scene = case.arrange()
    if way == "admin":
        scene.admin = staff_client()
    deliver()
    before = len(emitted(case.event))
    case.ways[way](scene)
    deliver()
    return scene, emitted(case.event)[before:]


def test_no_topic_of_feeds_is_left_out() -> None:
    ours = {topic for topic, versions in catalogue.items() if versions[1].__module__ == "feeds.events"}
    assert {case.event.topic for case in TOPIC_CASES} == {topic for topic in ours if not topic.startswith("feed.")}
    assert len(TOPIC_CASES) == 21


@pytest.mark.django_db
@pytest.mark.parametrize(("case", "way"), WAYS)
def test_a_change_emits_its_event_once_and_with_the_right_payload(case: TopicCase, way: str) -> None:
    scene, emitted_events = make_change(way, case)
    assert emitted_events == [case.event(**case.payload(scene))]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", [case for case in TOPIC_CASES if "model" in case.ways], ids=repr)
def test_a_save_in_autocommit_commits_row_and_event(case: TopicCase) -> None:
    scene, emitted_events = make_change("model", case)
    assert emitted_events == [case.event(**case.payload(scene))]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("case", "way"), WAYS)
def test_a_rolled_back_change_emits_nothing(case: TopicCase, way: str) -> None:
    scene = case.arrange()
    if way == "admin":
        scene.admin = staff_client()
    deliver()
    before = emitted(case.event)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        case.ways[way](scene)
        _ = 1 / 0
    deliver()
    assert emitted(case.event) == before


# Two instances of one row, loaded before either was saved -----------------------------------------------------------


def a_draft() -> Post:
    return PostFactory(status="draft")


STALE = [
    pytest.param(Post, a_draft, lambda post: save(post, status="published"), events.PostPublished, id="publish"),
    pytest.param(Post, PostFactory, lambda post: save(post, title="New"), events.PostUpdated, id="edit post"),
    pytest.param(Post, PostFactory, lambda post: post.delete(), events.PostDeleted, id="delete post"),
    pytest.param(
        Comment, CommentFactory, lambda one: save(one, content="New"), events.CommentUpdated, id="edit comment"
    ),
    pytest.param(Comment, CommentFactory, lambda comment: comment.delete(), events.CommentDeleted, id="delete comment"),
    pytest.param(Vote, VoteFactory, lambda vote: save(vote, vote_type="down"), events.VoteUpdated, id="turn vote"),
    pytest.param(Vote, VoteFactory, lambda vote: vote.delete(), events.VoteDeleted, id="retract vote"),
    pytest.param(Follow, FollowFactory, lambda follow: follow.delete(), events.UserUnfollowed, id="unfollow"),
    pytest.param(Membership, MembershipFactory, lambda member: member.delete(), events.CircleLeft, id="leave"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("model", "arrange", "change", "event"), STALE)
def test_two_stale_instances_tell_once(model, arrange, change, event) -> None:
    pk = arrange().pk
    one, other = model.objects.get(pk=pk), model.objects.get(pk=pk)
    change(one)
    change(other)
    assert len(emitted(event)) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("model", "arrange", "change", "event"), STALE)
def test_two_stale_instances_saved_at_once_tell_once(model, arrange, change, event) -> None:
    pk = arrange().pk
    stale = [model.objects.get(pk=pk) for _ in range(4)]
    at_once(*[lambda row=row: change(row) for row in stale])
    assert len(emitted(event)) == 1


@pytest.mark.django_db
def test_a_stale_instance_neither_revives_nor_republishes_nor_unpublishes() -> None:
    post = PostFactory(status="draft")
    stale, deleted_late = Post.objects.get(pk=post.pk), Post.objects.get(pk=post.pk)
    save(post, status="published")
    published_at = post.published_at
    save(stale, body="Written meanwhile.")
    save(deleted_late, status="published")
    post.delete()
    save(stale, body="Written too late.")
    row = Post.objects.get(pk=post.pk)
    assert (row.status, row.published_at, row.deleted_at) == ("published", published_at, post.deleted_at)
    assert len(emitted(events.PostPublished)) == len(emitted(events.PostDeleted)) == 1


@pytest.mark.django_db
def test_what_a_partial_save_leaves_out_is_not_told() -> None:
    post = PostFactory(title="Old")
    post.title = "Only in memory"
    post.save(update_fields=["body"])
    assert emitted(events.PostUpdated) == []
    stale = Post.objects.get(pk=post.pk)
    Post.objects.get(pk=post.pk).delete()
    save(stale, title="Too late")
    assert emitted(events.PostUpdated) == []


@pytest.mark.django_db
def test_a_row_written_over_by_its_key_is_a_change() -> None:
    vote = VoteFactory(vote_type="up")
    Vote(pk=vote.pk, user=vote.user, entity_type="post", entity_id=vote.entity_id, vote_type="down").save()
    assert [event.previous_vote_type for event in emitted(events.VoteUpdated)] == ["up"]
    assert len(emitted(events.VoteCreated)) == 1


# Changes without an event---------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_draft_emits_nothing_whatever_is_done_to_it() -> None:
    post = PostFactory(status="draft")
    save(post, title="Another")
    post.delete()
    assert emitted(events.PostPublished) + emitted(events.PostUpdated) + emitted(events.PostDeleted) == []


@pytest.mark.django_db
def test_a_post_created_published_is_told_at_once() -> None:
    post = PostFactory(title="Hello")
    expected = events.PostPublished(post_id=post.pk, author_id=post.author_id, circle_id=None, title="Hello")
    assert emitted(events.PostPublished) == [expected]
    assert emitted(events.PostUpdated) == []


@pytest.mark.django_db
def test_saving_without_a_change_emits_nothing() -> None:
    for row in (PostFactory(), CommentFactory(), VoteFactory(), FollowFactory(), MembershipFactory(), UserFactory()):
        before = {event: len(emitted(event)) for event in {case.event for case in TOPIC_CASES}}
        row.save()
        type(row).objects.get(pk=row.pk).save()
        assert {event: len(emitted(event)) for event in before} == before


@pytest.mark.django_db
def test_deleting_twice_tells_once() -> None:
    post, vote = PostFactory(), VoteFactory()
    again = Vote.objects.get(pk=vote.pk)
    for row in (post, post, vote, again):
        row.delete()
    assert len(emitted(events.PostDeleted)) == len(emitted(events.VoteDeleted)) == 1


@pytest.mark.django_db
def test_a_loaded_fixture_emits_nothing() -> None:
    post = PostFactory()
    text = serializers.serialize("json", [post])
    before = len(emitted(events.PostPublished))
    with transaction.atomic():
        for row in serializers.deserialize("json", text.replace(post.title, "Copied")):
            row.save()
    assert Post.objects.get(pk=post.pk).title == "Copied"
    assert emitted(events.PostUpdated) == []
    assert len(emitted(events.PostPublished)) == before


# Many rows at once --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_posts_ticked_in_the_admin_are_each_deleted_softly() -> None:
    posts = [PostFactory(), PostFactory()]
    CommentFactory(post=posts[0])
    delete_selected_in_admin(staff_client(), *posts)
    assert {event.post_id for event in emitted(events.PostDeleted)} == {post.pk for post in posts}
    assert Post.objects.filter(deleted_at=None).count() == 0
    assert Post.objects.count() == 2


@pytest.mark.django_db
def test_leaving_for_good_cuts_every_tie_with_its_event() -> None:
    user = UserFactory()
    FollowFactory(follower=user)
    FollowFactory(followee=user)
    membership = MembershipFactory(user=user)
    deliver()
    User.objects.filter(pk=user.pk).delete()
    assert len(emitted(events.UserUnfollowed)) == 2
    assert emitted(events.CircleLeft) == [events.CircleLeft(circle_id=membership.circle_id, user_id=user.pk)]


# Pending counts -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_what_is_not_counted_yet_stands_beside_its_event_and_goes_with_the_count() -> None:
    user, post = UserFactory(), PostFactory()
    deliver()
    actions.vote(user, entity_type="post", entity_id=post.pk, vote_type="up")
    actions.vote(user, entity_type="post", entity_id=post.pk, vote_type="down")
    actions.comment(user, post_id=post.pk, content="Hm.")
    assert list(Uncounted.objects.order_by("event_id").values_list("user", "upvotes", "downvotes", "comments")) == [
        (user.pk, 1, 0, 0),
        (user.pk, -1, 1, 0),
        (user.pk, 0, 0, 1),
    ]
    actions.retract_vote(user, entity_type="post", entity_id=post.pk)
    Comment.objects.get().delete()
    assert list(Uncounted.objects.order_by("event_id").values_list("downvotes", "comments"))[3:] == [(-1, 0), (0, -1)]
    deliver()
    assert not Uncounted.objects.exists()


@pytest.mark.django_db
def test_editing_a_comment_leaves_the_counts_alone() -> None:
    comment = CommentFactory()
    deliver()
    save(comment, content="Better.")
    assert not Uncounted.objects.exists()
