"""Search: posts are found by their words, in any script, on both databases."""

import pytest

from events.testing import deliver
from feeds.lists.pagination import BadCursorError
from feeds.models import SearchDocument
from feeds.models.soft_delete import SoftDeleted
from feeds.search.index import index_posts, remove_posts
from feeds.search.query import terms_of
from feeds.search.search import search_posts
from feeds.search.snippets import snippet
from tests.support.factories import BlockFactory, CircleFactory, MuteFactory, PostFactory, UserFactory, VoteFactory

pytestmark = pytest.mark.django_db


def found(query, **options):
    """The ids of the hits."""
    return [hit.pk for hit in search_posts(query, **options).items]


@pytest.fixture
def post():
    post = PostFactory(
        title="Running a café in 東京都",
        body="We **serve** coffee at [home](https://example.com/x) and `Kaffee` — 数据库系统, "
        "データベース, 데이터베이스. 猫",
    )
    deliver()
    return post


@pytest.mark.parametrize(
    "query",
    [
        "running",
        "runs",
        "RUN",
        "serving coffees",
        "coffee running",
        '"serve coffee"',
        "kaffee",
        "café",
        "数据库",
        "数据",
        "系统",
        "库系",
        "数据库系统",
        "東京",
        "東京都",
        "データ",
        "ベース",
        "데이터",
        "猫",
        "都",
        "据",
        "coffee数据",
        "ｃｏｆｆｅｅ",
        "coffee -tea",
        '-"coffee serve" serve',
        'coffee "',
        "coffee & | ! ( ) : * '",
    ],
)
def test_a_post_is_found_by_its_words(post, query):
    assert found(query) == [post.pk]


@pytest.mark.parametrize(
    "query",
    [
        "tea",
        "coffee tea",
        '"coffee serve"',
        "coffee -serve",
        "coffee -数据",
        "coffee -猫",
        "据系",
        "库统",
        "京東",
        "狗",
        "https",
        "-tea",
        "",
        "   ",
        '"',
        "&",
        "\0",
        ":* | !",
    ],
)
def test_a_post_without_the_words_is_not_found(post, query):
    assert found(query) == []


@pytest.mark.parametrize("query", ["the -xyzzy", "-xyzzy the", '"in the" -xyzzy -狗'])
def test_words_that_do_not_occur_find_nothing_whatever_is_excluded(post, query):
    assert found(query) == []


@pytest.mark.parametrize("query", ["the coffee -xyzzy", "-xyzzy coffee", "-狗 猫 -tea serve"])
def test_what_is_excluded_may_stand_anywhere(post, query):
    PostFactory(title="Tea", body="We serve coffee to the 猫 and 狗 of xyzzy")
    post.body = f"The {post.body}"
    post.save()
    deliver()
    assert found(query) == [post.pk]


def test_a_match_in_the_title_goes_first():
    body, title = PostFactory(title="Other", body="tea"), PostFactory(title="Tea", body="other")
    body2 = PostFactory(title="Other", body="tea")
    deliver()
    assert found("tea") == [title.pk, body2.pk, body.pk]


def test_hits_are_paged_without_gap_or_double():
    posts = [PostFactory(title="tea" if n % 2 else "cup", body="tea and more tea" * (n % 3)) for n in range(7)]
    deliver()
    whole, paged, cursor = found("tea"), [], None
    assert 2 < len(whole) < len(posts)
    while True:
        page = search_posts("tea", size=2, cursor=cursor)
        paged += [hit.pk for hit in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert paged == whole


def test_what_is_written_between_two_pages_moves_nothing():
    posts = [PostFactory(title="tea" if n % 2 else "cup", body="tea " * (n % 3 + 1) + "leaf " * n) for n in range(9)]
    deliver()
    whole, paged, cursor = found("tea"), [], None
    for turn in range(10):
        page = search_posts("tea", size=2, cursor=cursor)
        paged += [hit.pk for hit in page.items]
        if (cursor := page.next_cursor) is None:
            break
        PostFactory(title="tea tea", body="tea")
        PostFactory(title="cup", body="a long text with tea " + "and other words " * 20 * turn)
        posts[0].delete()  # the last hit
        deliver()
    assert paged == [pk for pk in whole if pk != posts[0].pk]
    assert len(found("tea")) > len(whole)


def test_of_very_many_matches_the_newest_are_ranked(monkeypatch):
    monkeypatch.setattr("feeds.search.search.MAX_RANKED", 3)
    circle = CircleFactory()
    old, *new = (
        PostFactory(title="tea" if n == 0 else "cup", body="tea", circle=circle if n < 2 else None) for n in range(5)
    )
    deliver()
    assert found("tea") == [new[3].pk, new[2].pk, new[1].pk]
    assert found("tea", circle=circle) == [old.pk, new[0].pk]
    first = search_posts("tea", size=2)
    PostFactory(title="tea", body="tea")
    deliver()
    assert [hit.pk for hit in search_posts("tea", size=2, cursor=first.next_cursor).items] == [new[1].pk]


def test_a_hit_is_a_post_as_in_a_list_with_a_snippet(post):
    voter = UserFactory()
    VoteFactory(post=post, user=voter)
    (hit,) = search_posts("coffee", viewer=voter).items
    assert (hit.author, hit.score, hit.my_vote) == (post.author, 1, "up")
    assert "<mark>coffee</mark>" in hit.snippet


def test_a_search_can_be_of_one_circle_or_author():
    circle = CircleFactory()
    inside, outside = PostFactory(title="tea", circle=circle), PostFactory(title="tea")
    deliver()
    assert found("tea", circle=circle) == [inside.pk]
    assert found("tea", author=outside.author) == [outside.pk]


def test_an_edit_changes_what_is_found(post):
    post.title, post.body = "Tea", "Only tea."
    post.save()
    deliver()
    assert found("coffee") == []
    assert found("tea") == [post.pk]


def test_a_draft_is_not_found_until_published():
    draft = PostFactory(title="tea", status="draft")
    deliver()
    assert found("tea", viewer=draft.author) == []
    draft.status = "published"
    draft.save()
    deliver()
    assert found("tea") == [draft.pk]


def test_a_deleted_post_is_not_found_even_with_no_worker_and_leaves_the_index(post):
    post.delete()
    assert found("coffee") == []
    deliver()
    assert not SearchDocument.objects.exists()


def test_whom_one_blocked_or_muted_is_not_found(post):
    viewer, other = UserFactory(), UserFactory()
    MuteFactory(user=viewer, target=post.author)
    BlockFactory(user=post.author, target=other)
    assert found("coffee", viewer=viewer) == found("coffee", viewer=other) == []


def test_indexing_twice_is_indexing_once(post):
    index_posts([post.pk, post.pk, 0])
    assert found("coffee") == [post.pk]
    remove_posts([post.pk])
    assert found("coffee") == []


def test_a_hard_delete_takes_the_document_along(post):
    super(SoftDeleted, post).delete()
    assert not SearchDocument.objects.exists()
    assert found("coffee") == []


def test_a_very_long_body_can_be_indexed():
    post = PostFactory(title="long", body="数据库系统很长 " * 5000 + "w" * 5000)
    deliver()
    assert found("long 很长") == [post.pk]


def test_a_search_takes_a_fixed_number_of_queries(django_assert_num_queries):
    for _ in range(5):
        PostFactory(title="tea", circle=CircleFactory())
    deliver()
    with django_assert_num_queries(6):
        assert all(hit.author.username and hit.circle.slug for hit in search_posts("tea").items)
    with django_assert_num_queries(7):
        search_posts("tea", viewer=UserFactory.build(pk=0))


def test_a_bad_cursor_is_refused(post):
    with pytest.raises(BadCursorError):
        search_posts("coffee", cursor="nonsense")


@pytest.mark.parametrize(
    ("text", "query", "html"),
    [
        ("We serve coffee.", "serving", "We <mark>serve</mark> coffee."),
        ("We stopped it", "stop", "We <mark>stopped</mark> it"),
        ("cities <b>", "city", "<mark>cities</mark> &lt;b&gt;"),
        ("a < b & c", "b c", "a &lt; <mark>b</mark> &amp; <mark>c</mark>"),
        ("数据库系统", "据库", "数<mark>据库</mark>系统"),
        ("tea time", '"tea time" -no', "<mark>tea time</mark>"),
        ("nothing here", "else", "nothing here"),
        ("", "tea", ""),
    ],
)
def test_a_snippet_marks_the_words_and_escapes_the_rest(text, query, html):
    assert snippet(text, terms_of(query)) == html


def test_a_snippet_is_the_part_around_the_first_match():
    html = snippet("x " * 500 + "tea " + "y " * 500, terms_of("tea"))
    assert html.startswith("… x")
    assert html.endswith(" …")
    assert "<mark>tea</mark>" in html
    assert len(html) < 250


def test_only_so_much_of_a_query_counts():
    assert len(terms_of(" ".join(str(n) for n in range(1000)))) == 20
