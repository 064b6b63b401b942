"""The rows that the importer makes of a Stack Exchange dump, and their events and notices."""

import datetime as dt

import pytest
from django.core.management import call_command

from events.models import StoredEvent
from events.testing import deliver, emitted
from feeds.events import CommentCreated, PostPublished, UserFollowed, UserRegistered, VoteCreated
from feeds.models import Comment, EntityCounts, FeedEntry, Follow, Post, Uncounted, User, Vote
from notifications.models import Notification
from tests.feeds.stackexchange.dump_files import (
    DAY,
    adds_up,
    answer,
    became,
    comment,
    graph,
    load,
    post,
    question,
    vote,
    write,
)
from tests.support import agreement

pytestmark = pytest.mark.django_db

WHEN = dt.datetime.fromisoformat(f"{DAY}+00:00")

GARDEN = {
    "posts": [
        question(1, 10, Title="  When to prune\nroses? ", Body="<p>In <em>March</em>,\nor later?</p>"),
        answer(2, 11, 1, Body="<ul><li>March</li><li>not later</li></ul>", LastEditDate="2014-06-01T00:00:00"),
        question(3, 11),
    ],
    "comments": [comment(1, 12, 1), comment(2, 10, 2, Text="@Anna Thank you, *really*.")],
    "votes": [vote(1, 1), vote(2, 2), vote(3, 2, kind=3)],
}
EDGES = ("1 2", "3 2", "4 2", "4 1")


@pytest.fixture(params=["csv", "xml"])
def garden(request, tmp_path):
    """The same dump as CSV and as XML."""
    return write(tmp_path / "garden", form=request.param, **GARDEN)


def test_a_question_is_a_post_with_the_dates_of_the_dump(garden):
    load(garden)
    asked = Post.objects.get(pk=became("post", 1))
    assert (asked.title, asked.body) == ("When to prune roses?", "In *March*, or later?")
    assert (asked.created_at, asked.published_at, asked.updated_at) == (WHEN, WHEN, WHEN)
    assert asked.author_id == became("user", 10)
    assert asked.is_visible


def test_an_answer_is_a_comment_of_the_post_and_remembers_its_edit(garden):
    load(garden)
    given = Comment.objects.get(pk=became("answer", 2))
    assert (given.post_id, given.parent_id, given.author_id) == (became("post", 1), None, became("user", 11))
    assert given.content == "- March\n- not later"
    assert (given.created_at, given.updated_at) == (WHEN, dt.datetime(2014, 6, 1, tzinfo=dt.UTC))


def test_a_comment_belongs_to_the_question_or_to_the_answer_and_its_text_stays(garden):
    load(garden)
    on_question, on_answer = (Comment.objects.get(pk=became("comment", number)) for number in (1, 2))
    assert (on_question.post_id, on_question.parent_id) == (became("post", 1), None)
    assert (on_answer.post_id, on_answer.parent_id) == (became("post", 1), became("answer", 2))
    assert on_answer.content == "@Anna Thank you, *really*."
    assert on_answer.created_at == on_answer.updated_at == WHEN


def test_votes_are_up_and_down_on_posts_and_answers(garden):
    load(garden)
    ways = Vote.objects.order_by("pk").values_list("entity_type", "entity_id", "vote_type")
    comment_id = became("answer", 2)
    assert list(ways) == [
        ("post", became("post", 1), "up"),
        ("comment", comment_id, "up"),
        ("comment", comment_id, "down"),
    ]
    assert {one.created_at for one in Vote.objects.all()} == {dt.datetime(2014, 5, 3, tzinfo=dt.UTC)}


def test_an_edge_is_a_follow_from_before_the_first_post(garden, tmp_path):
    load(garden, edges=graph(tmp_path / "graph.txt", *EDGES))
    pairs = Follow.objects.values_list("follower", "followee")
    assert set(pairs) == {(became("node", edge[0]), became("node", edge[2])) for edge in EDGES}
    assert {follow.created_at for follow in Follow.objects.all()} == {WHEN - dt.timedelta(days=1)}


def test_every_row_is_told_of_as_if_it_had_been_saved(garden, tmp_path):
    load(garden, edges=graph(tmp_path / "graph.txt", *EDGES))
    told = [(event.user_id, event.username) for event in emitted(UserRegistered)]
    assert told == list(User.objects.order_by("pk").values_list("pk", "username"))
    told = [(event.follower_id, event.followee_id) for event in emitted(UserFollowed)]
    assert told == list(Follow.objects.order_by("pk").values_list("follower", "followee"))
    told = [(event.post_id, event.author_id, event.circle_id, event.title) for event in emitted(PostPublished)]
    assert told == list(Post.objects.order_by("pk").values_list("pk", "author", "circle", "title"))
    told = [tuple(event.model_dump().values()) for event in emitted(CommentCreated)]
    assert told == list(Comment.objects.order_by("pk").values_list("pk", "post", "author", "parent", "content"))
    told = [tuple(event.model_dump().values()) for event in emitted(VoteCreated)]
    fields = ("pk", "user", "entity_type", "entity_id", "vote_type")
    assert told == list(Vote.objects.order_by("pk").values_list(*fields))


def test_follows_are_told_of_before_posts(garden, tmp_path):
    load(garden, edges=graph(tmp_path / "graph.txt", *EDGES))
    topics = list(StoredEvent.objects.order_by("sequence").values_list("topic", flat=True))
    assert list(dict.fromkeys(topics)) == [
        "user.registered",
        "user.followed",
        "post.published",
        "comment.created",
        "vote.created",
    ]


def test_the_subscribers_follow_and_nobody_is_notified_of_the_past(garden, tmp_path):
    load(garden, edges=graph(tmp_path / "graph.txt", *EDGES))
    deliver(times=2)
    assert not Notification.objects.shown().exists()
    assert [*agreement.counts(), *agreement.uncounted(), *agreement.feeds()] == []
    asked = EntityCounts.objects.get(entity_type="post", entity_id=became("post", 1))
    assert (asked.upvotes, asked.comments) == (1, 3)
    # Imported users count as seen now, so that fan-out fills their feeds.
    readers = FeedEntry.objects.filter(post=became("post", 3)).values_list("user", flat=True)
    assert set(readers) == set(Follow.objects.filter(followee=became("user", 11)).values_list("follower", flat=True))


def test_recounting_while_the_events_of_an_import_wait_counts_nothing_twice(garden):
    load(garden)
    call_command("recount")
    deliver()
    assert [*agreement.counts(), *agreement.uncounted()] == []
    assert not Uncounted.objects.exists()


def test_a_title_too_long_is_cut_and_a_body_too_long_is_kept(tmp_path):
    folder = write(tmp_path / "long", posts=[question(1, 1, Title="t" * 301, Body=f"<p>{'b' * 50_000}</p>")])
    report = load(folder)
    asked = Post.objects.get()
    assert asked.title == "t" * 299 + "…"
    assert len(asked.body) == 50_000
    assert report["posts"].remarks == {"titles cut to 300 characters": 1}


def test_rows_that_cannot_be_taken_are_counted_with_the_reason(tmp_path):
    folder = write(
        tmp_path / "torn",
        posts=[
            question(1, 10),
            question(2, ""),
            question(3, 10, Title=""),
            question(4, 10, CreationDate="yesterday"),
            post(5, 10, PostTypeId=5),
            answer(6, 10, 99),
            answer(7, 10, 2),
            answer(8, 10, 1, Body=""),
            answer("", 10, 1),
        ],
        comments=[comment(1, "", 1), comment(2, 10, 99), comment(3, 10, 2), comment(4, 10, 1, Text=" \0 ")],
        votes=[vote(1, 1, kind=5), vote(2, 3), vote(3, 99)],
    )
    edges = graph(tmp_path / "graph.txt", "1 1", "1 2 3", "7", "1 2", "1 2")
    report = load(folder, edges=edges)
    lost = "its post is missing"
    assert report["posts"].skipped == {
        "no author": 1,
        "no title": 1,
        "CreationDate is not a date": 1,
        "PostTypeId 5": 1,
    }
    assert report["answers"].skipped == {lost: 2, "no text": 1, "no Id": 1}
    assert report["comments"].skipped == {"no author": 1, lost: 2, "no text": 1}
    assert report["votes"].skipped == {"VoteTypeId 5": 1, lost: 2}
    assert report["follows"].skipped == {"follows itself": 1, "not two nodes": 2}
    assert (report["follows"].imported, report["follows"].already) == (1, 1)
    assert (Post.objects.count(), Comment.objects.count(), Vote.objects.count()) == (1, 0, 0)
    assert adds_up(report)


def test_what_was_deleted_here_gets_no_more_comments_and_votes(tmp_path):
    load(write(tmp_path / "dump", posts=[question(1, 10)]))
    Post.objects.get().delete()
    later = {"comments": [comment(1, 10, 1)], "votes": [vote(1, 1)], "posts": [question(1, 10), answer(2, 10, 1)]}
    report = load(write(tmp_path / "dump", **later))
    assert [report[kind].skipped.total() for kind in ("answers", "comments", "votes")] == [1, 1, 1]
    assert report["posts"].already == 1


def test_the_command_reports_what_became_of_each_kind(garden, capsys):
    call_command("import_stackexchange", str(garden))
    lines = [line for line in capsys.readouterr().out.splitlines() if "│" in line]
    table = {cells[1]: cells[2:6] for cells in ([cell.strip() for cell in line.split("│")] for line in lines)}
    assert table["posts"] == ["2", "2", "0", "0"]
    assert table["votes"] == ["3", "3", "0", "0"]
    assert became("post", 1, source="garden")
