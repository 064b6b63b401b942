"""Counts: changes in any order, each once; and the repair of counts that differ all the same."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from events.bus import emit, suppressed
from events.testing import deliver, emitted
from feeds import ranking
from feeds.counts import counting
from feeds.counts.counts import Counts
from feeds.counts.recount import recount
from feeds.events import CommentCreated, CommentDeleted, CommentVoted, PostVoted, VoteCreated, VoteDeleted, VoteUpdated
from feeds.models import Comment, EarlierCounts, EntityCounts, Post, Uncounted, Vote
from feeds.subscribers import VOTES
from tests.support.factories import CommentFactory, PostFactory, UserFactory, VoteFactory

pytestmark = pytest.mark.django_db


def counts(row):
    """(upvotes, downvotes, score, comments); None without a row."""
    kind = "post" if isinstance(row, Post) else "comment"
    return (
        EntityCounts.objects.filter(entity_type=kind, entity_id=row.pk)
        .values_list("upvotes", "downvotes", "score", "comments")
        .first()
    )


def test_a_published_post_has_counts_and_a_draft_has_none():
    post, draft = PostFactory(), PostFactory(status="draft")
    deliver()
    assert counts(post) == (0, 0, 0, 0)
    assert counts(draft) is None


def test_a_new_comment_has_counts_of_its_own():
    comment = CommentFactory()
    deliver()
    assert counts(comment) == (0, 0, 0, 0)
    assert counts(comment.post) == (0, 0, 0, 1)


def test_votes_move_counts_score_and_rank():
    post = PostFactory()
    votes = [VoteFactory(post=post) for _ in range(12)]
    VoteFactory(post=post, vote_type="down")
    deliver()
    assert counts(post) == (12, 1, 11, 0)
    expected = ranking.hot(12, 1, post.published_at.timestamp())
    assert EntityCounts.objects.get(entity_type="post", entity_id=post.pk).hot == pytest.approx(expected, abs=1e-6)
    votes[0].delete()
    votes[1].vote_type = "down"
    votes[1].save()
    deliver()
    assert counts(post) == (10, 2, 8, 0)


def test_a_retracted_vote_lowers_the_score():
    vote = VoteFactory(comment=CommentFactory())
    deliver()
    vote.delete()
    deliver()
    assert counts(Comment.objects.get()) == (0, 0, 0, 0)


def test_deleting_a_comment_lowers_the_count():
    comment = CommentFactory()
    CommentFactory(post=comment.post)
    comment.delete()
    comment.delete()
    deliver()
    assert counts(comment.post) == (0, 0, 0, 1)


def test_everything_delivered_twice_is_counted_once():
    vote = VoteFactory(post=CommentFactory().post)
    deliver(times=2)
    vote.vote_type = "down"
    vote.save()
    deliver(times=2)
    assert counts(Post.objects.get()) == (0, 1, -1, 1)


def test_what_was_counted_no_longer_waits_to_be():
    vote = VoteFactory(post=CommentFactory().post)
    assert Uncounted.objects.count() == 2
    vote.delete()
    assert Uncounted.objects.count() == 3
    deliver()
    assert not Uncounted.objects.exists()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_in_which_votes_arrive_does_not_matter(order):
    post, voter = PostFactory(), UserFactory()
    about = {"vote_id": 1, "user_id": voter.pk, "entity_type": "post", "entity_id": post.pk}
    events = [
        VoteCreated(vote_type="up", **about),
        VoteUpdated(vote_type="down", previous_vote_type="up", **about),
        VoteDeleted(vote_type="down", **about),
    ]
    for index in order:
        with transaction.atomic():
            emit(events[index])
        deliver()
    assert counts(post) == (0, 0, 0, 0)


def test_a_comments_deletion_may_arrive_before_its_creation():
    comment = CommentFactory.build(pk=7, post=PostFactory(), author=UserFactory())
    about = {"comment_id": 7, "post_id": comment.post.pk, "author_id": comment.author.pk}
    for event in (CommentDeleted(**about), CommentCreated(parent_id=None, content="x", **about)):
        with transaction.atomic():
            emit(event)
        deliver()
    assert counts(comment.post) == (0, 0, 0, 0)


def test_votes_counted_before_the_post_is_ranked_stay():
    post = PostFactory()
    counting.add({("post", post.pk): VOTES["up"]})
    deliver()
    assert counts(post) == (1, 0, 1, 0)


def test_a_counted_vote_is_announced_with_the_author_and_its_cause():
    post, comment = PostFactory(), CommentFactory()
    on_post, on_comment = VoteFactory(post=post), VoteFactory(comment=comment, vote_type="down")
    assert not emitted(PostVoted)
    deliver()
    (told,) = emitted(PostVoted)
    assert told == PostVoted(post_id=post.pk, author_id=post.author_id, user_id=on_post.user_id, vote_type="up")
    cause = next(event for event in emitted(VoteCreated) if event.entity_type == "post")
    assert told.meta.causation_id == cause.meta.id
    assert told.meta.correlation_id == cause.meta.correlation_id
    assert emitted(CommentVoted) == [
        CommentVoted(
            comment_id=comment.pk,
            post_id=comment.post_id,
            author_id=comment.author_id,
            user_id=on_comment.user_id,
            vote_type="down",
        )
    ]


def test_a_vote_turned_round_is_announced_and_one_taken_back_is_not():
    vote = VoteFactory()
    deliver()
    vote.vote_type = "down"
    vote.save()
    deliver()
    vote.delete()
    deliver()
    assert [event.vote_type for event in emitted(PostVoted)] == ["up", "down"]


def test_a_vote_on_what_is_deleted_meanwhile_is_announced_to_nobody():
    post, comment, below = PostFactory(), CommentFactory(), CommentFactory()
    VoteFactory(post=post)
    VoteFactory(comment=comment)
    VoteFactory(comment=below)
    for row in (post, comment, below.post):
        row.delete()
    deliver()
    assert not emitted(PostVoted)
    assert not emitted(CommentVoted)


def test_a_vote_on_what_never_was_is_skipped():
    Vote.objects.create(user=UserFactory(), entity_type="post", entity_id=0, vote_type="up")
    Vote.objects.create(user=UserFactory(), entity_type="comment", entity_id=0, vote_type="up")
    deliver()
    assert not EntityCounts.objects.exists()
    assert not Uncounted.objects.exists()


def test_a_batch_takes_a_fixed_number_of_statements_but_for_its_announcements(django_assert_max_num_queries):
    posts = [PostFactory() for _ in range(20)]
    deliver()
    deltas = {("post", post.pk): Counts(upvotes=1) for post in posts}
    with django_assert_max_num_queries(6):
        counting.add(deltas)
    assert all(counts(post) == (1, 0, 1, 0) for post in posts)


@pytest.mark.django_db(transaction=True)
def test_many_who_count_at_once_lose_nothing_and_never_wait_in_a_circle():
    keys = [("post", PostFactory().pk) for _ in range(6)] + [("comment", CommentFactory().pk) for _ in range(6)]

    def count(seed):
        shuffled = Random(seed)
        try:
            for _ in range(10):
                with transaction.atomic():
                    counting.add({key: Counts(upvotes=1) for key in shuffled.sample(keys, len(keys))})
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as counters:
        list(counters.map(count, range(4)))
    assert set(EntityCounts.objects.values_list("upvotes", "score")) == {(40, 40)}
    assert EntityCounts.objects.count() == len(keys)
    for entity_type, entity_id in keys:
        earlier = EarlierCounts.objects.filter(entity_type=entity_type, entity_id=entity_id).order_by("pk")
        assert list(earlier.values_list("upvotes", flat=True)) == list(range(40))


# Recount


def test_a_recount_of_what_is_right_finds_nothing():
    VoteFactory(post=CommentFactory().post)
    VoteFactory(comment=CommentFactory(), vote_type="down")
    CommentFactory().delete()
    deliver()
    assert recount() == []


def test_a_recount_finds_and_repairs_what_has_drifted():
    vote, comment = VoteFactory(), CommentFactory()
    VoteFactory(comment=comment)
    deliver()
    post = Post.objects.get(pk=vote.entity_id)
    EntityCounts.objects.filter(entity_type="post", entity_id=post.pk).update(upvotes=5, comments=-1, hot=0)
    EntityCounts.objects.filter(entity_type="comment").delete()
    drifts = recount(repair=False)
    assert str(drifts[0]) == f"post/{post.pk}: upvotes 5 → 1, comments -1 → 0"
    assert counts(post) == (5, 0, 1, -1)
    assert len(recount()) == 2
    assert counts(post) == (1, 0, 1, 0)
    assert counts(comment) == (1, 0, 1, 0)
    assert recount() == []
    assert EntityCounts.objects.get(entity_type="post", entity_id=post.pk).hot > 0


def test_a_recount_leaves_to_the_subscribers_what_still_waits_to_be_counted():
    vote = VoteFactory(post=CommentFactory().post)
    assert recount() == []
    deliver()
    assert counts(Post.objects.get(pk=vote.entity_id)) == (1, 0, 1, 1)
    assert recount() == []


def test_a_recount_takes_in_what_will_never_be_delivered_when_told_to():
    post = PostFactory()
    with transaction.atomic(), suppressed("a demonstration"):
        VoteFactory(post=post)
    deliver()
    assert recount() == []
    assert len(recount(settle=True)) == 1
    assert counts(post) == (1, 0, 1, 0)
    assert not Uncounted.objects.exists()
    assert recount() == []


def test_a_rank_that_does_not_follow_from_the_votes_is_repaired():
    post = PostFactory()
    deliver()
    for wrong in ({"hot": 1.0}, {"controversy": 1.0}):
        EntityCounts.objects.update(**wrong)
        assert [str(drift) for drift in recount()] == [f"post/{post.pk}: rank"]
        assert recount() == []


small = st.integers(min_value=-3, max_value=3)


@pytest.mark.parametrize("examples", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_any_drift_is_reported_exactly_and_repaired(examples):
    @settings(max_examples=examples, deadline=None)
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), small, small, small), max_size=5))
    def one_example(damage):
        any_drift_is_reported_exactly_and_repaired(damage)

    one_example()


def any_drift_is_reported_exactly_and_repaired(damage):
    with transaction.atomic():
        comments = CommentFactory.create_batch(3)
        rows = {True: [comment.post for comment in comments], False: comments}
        for comment in comments:
            VoteFactory(comment=comment)
            VoteFactory(post=comment.post, vote_type="down")
        deliver()
        true = {("post", row.pk): Counts(0, 1, 1) for row in rows[True]}
        true |= {("comment", row.pk): Counts(1, 0, 0) for row in comments}
        held = dict(true)
        for on_post, number, *by in damage:
            key = ("post" if on_post else "comment", rows[on_post][number].pk)
            held[key] = held[key].plus(Counts(*by))
            upvotes, downvotes, replies = held[key]
            spoilt = EntityCounts.objects.filter(entity_type=key[0], entity_id=key[1])
            spoilt.update(upvotes=upvotes, downvotes=downvotes, comments=replies)
        drifted = {key: delta for key, delta in held.items() if delta != true[key]}
        assert {(one.entity_type, one.entity_id): one.held for one in recount(repair=False)} == drifted
        assert all(one.true == true[one.entity_type, one.entity_id] for one in recount())
        assert recount() == []
        for key, delta in true.items():
            kept = EntityCounts.objects.get(entity_type=key[0], entity_id=key[1])
            assert (kept.upvotes, kept.downvotes, kept.comments) == delta
            assert kept.score == delta.upvotes - delta.downvotes
        transaction.set_rollback(True)


def test_the_command_reports_and_repairs(capsys):
    post = PostFactory()
    deliver()
    EntityCounts.objects.update(upvotes=3)
    call_command("recount", dry_run=True)
    call_command("recount")
    call_command("recount")
    out = capsys.readouterr().out
    assert out.count(f"post/{post.pk}: upvotes 3 → 0") == 2
    assert "Wrong counts found: 1.\n" in out
    assert "Wrong counts repaired: 0." in out
