"""Threads: the comments of a post in reading order."""

import pytest

from events.testing import deliver
from feeds.lists.pagination import BadCursorError
from feeds.lists.threads import list_comments
from feeds.models import Comment
from tests.support.factories import BlockFactory, CommentFactory, MuteFactory, PostFactory, UserFactory, VoteFactory

pytestmark = pytest.mark.django_db


def outline(post, **options):
    """The comments as indented lines; a dash where the content is not shown."""
    return [f"{'  ' * comment.depth}{comment.content or '-'}" for comment in list_comments(post, **options).items]


@pytest.fixture
def post():
    return PostFactory()


def test_answers_stand_beneath_what_they_answer_each_level_best_first(post):
    a = CommentFactory(post=post, content="a")
    b = CommentFactory(post=post, content="b")
    CommentFactory(post=post, content="a1", parent=a)
    a2 = CommentFactory(post=post, content="a2", parent=a)
    VoteFactory(comment=a2)
    VoteFactory(comment=b)
    VoteFactory(comment=b)
    VoteFactory(comment=a, vote_type="down")
    deliver()
    assert outline(post) == ["b", "a", "  a2", "  a1"]


def test_ones_own_comment_and_vote_show_at_once(post):
    mine, other = CommentFactory(post=post), CommentFactory(post=post)
    VoteFactory(comment=other, user=mine.author)
    first, second = list_comments(post, viewer=mine.author).items
    assert (first, first.upvotes, first.score, first.my_vote) == (other, 1, 1, "up")
    assert (second, second.my_vote) == (mine, None)
    assert [comment.score for comment in list_comments(post).items] == [0, 0]


def test_a_deleted_comment_keeps_its_place_while_it_has_answers_and_is_never_shown(post):
    a = CommentFactory(post=post, content="a")
    b = CommentFactory(post=post, content="b", parent=a)
    c = CommentFactory(post=post, content="c", parent=b)
    CommentFactory(post=post, content="d").delete()
    a.delete()
    b.delete()
    assert outline(post) == ["-", "  -", "    c"]
    assert [comment.shown for comment in list_comments(post).items] == [False, False, True]
    c.delete()
    assert outline(post) == []
    assert Comment.objects.get(pk=a.pk).content == ""


@pytest.mark.parametrize("who", ["blocked", "blocking", "muted"])
def test_whom_one_blocked_or_muted_is_not_shown(post, who):
    viewer = UserFactory()
    hidden = CommentFactory(post=post, content="hidden")
    CommentFactory(post=post, content="hidden too", author=hidden.author)
    CommentFactory(post=post, content="answer", parent=hidden)
    if who == "blocking":
        BlockFactory(user=hidden.author, target=viewer)
    else:
        (BlockFactory if who == "blocked" else MuteFactory)(user=viewer, target=hidden.author)
    assert outline(post, viewer=viewer) == ["-", "  answer"]
    assert outline(post) == ["hidden", "  answer", "hidden too"]


def test_a_long_thread_is_paged_without_gap_or_double(post):
    parent = None
    for n in range(7):
        comment = CommentFactory(post=post, content=str(n), parent=parent)
        parent = comment if n % 3 else None
    whole = [comment.pk for comment in list_comments(post).items]
    paged, cursor = [], None
    while True:
        page = list_comments(post, cursor=cursor, size=2)
        paged += [comment.pk for comment in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert paged == whole


def test_a_thread_deeper_than_python_recurses_is_read(post):
    parent = None
    author = UserFactory()
    for _ in range(1500):
        parent = Comment(post=post, author=author, parent=parent, content="x")
        parent.pk = Comment.objects.bulk_create([parent])[0].pk
    page = list_comments(post, size=2000)
    assert [comment.depth for comment in page.items] == list(range(1500))


def test_a_thread_takes_a_fixed_number_of_queries(post, django_assert_num_queries):
    viewer = UserFactory()
    for _ in range(5):
        VoteFactory(comment=CommentFactory(post=post), user=viewer)
    deliver()
    with django_assert_num_queries(4):
        assert all(comment.author.username for comment in list_comments(post).items)
    with django_assert_num_queries(6):
        assert all(comment.my_vote for comment in list_comments(post, viewer=viewer).items)


def test_a_bad_cursor_is_refused(post):
    with pytest.raises(BadCursorError):
        list_comments(post, cursor="nonsense")
