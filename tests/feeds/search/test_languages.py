"""Search in English, Chinese and Japanese: the same results on both databases."""

import pytest

from events.testing import deliver
from feeds.models import Post
from feeds.search.search import search_posts
from feeds.text.cjk import RUN
from tests.support.factories import BlockFactory, CircleFactory, MuteFactory, PostFactory, UserFactory

pytestmark = pytest.mark.django_db

#: Posts: a name for the test, a title and a body.
CORPUS = {
    "garden": ("Gardening on a balcony", "Tomatoes grew quickly; we watered them daily."),
    "water": ("Watering plans", "How often should a gardener water tomatoes in pots?"),
    "stories": ("Stories of the city", "Running water came late to these cities."),
    "database": ("数据库的历史", "关系数据库和图书馆有什么共同之处？两者都要索引。"),
    "library": ("城市图书馆", "我在图书馆学习数据结构。Tomatoes 和数据无关。"),
    "forest": ("黑暗森林", "森林里有一座城。"),
    "tokyo": ("東京の図書館", "東京都の図書館でデータベースを学ぶ。ひらがなも読める。"),
    "cats": ("猫とデータ", "猫は黒い。データベースはまだ無い。"),
    "mixed": ("PostgreSQL入門", "Full text search とデータベースの検索 for beginners。"),
}


@pytest.fixture
def corpus():
    """The posts by name."""
    posts = {name: PostFactory(title=title, body=body) for name, (title, body) in CORPUS.items()}
    deliver()
    return posts


@pytest.fixture
def found(corpus):
    """A function: query to the names of the hits, best first."""
    names = {post.pk: name for name, post in corpus.items()}
    return lambda query, **options: [names[hit.pk] for hit in search_posts(query, **options).items]


#: A query and the names of the posts that it finds.
FOUND = {
    # English: by the stem, in any case; all the words, wherever they stand.
    "tomato": "garden water library",
    "TOMATOES": "garden water library",
    "watered": "garden water stories",
    "gardens": "garden water",
    "city water": "stories",
    '"running water"': "stories",
    '"water running"': "",
    "tomato -pots": "garden library",
    # Chinese: one, two, three characters, and more.
    "城": "library forest",
    "森": "forest",
    "森林": "forest",
    "图书": "database library",
    "图书馆": "database library",
    "数据库": "database",
    "关系数据库": "database",
    "数据 索引": "database",
    "数据 -数据库": "library",
    "据库数": "",
    # Japanese: kana and kanji, and both in one word.
    "猫": "cats",
    "東": "tokyo",
    "東京": "tokyo",
    "東京都": "tokyo",
    "図書館": "tokyo",
    "データ": "tokyo cats mixed",
    "データベース": "tokyo cats mixed",
    "ﾃﾞｰﾀﾍﾞｰｽ": "tokyo cats mixed",
    "ひらがな": "tokyo",
    "図書館で": "tokyo",
    "猫は黒い": "cats",
    "ベースデータ": "",
    # Several at once.
    "tomatoes 数据": "library",
    "postgresql入門": "mixed",
    "searching データベース": "mixed",
    "begin検索": "",
    "データベース -search -猫": "tokyo",
}


def test_each_language_is_found_by_its_words(found):
    assert {query: sorted(found(query)) for query in FOUND} == {
        query: sorted(names.split()) for query, names in FOUND.items()
    }


def test_any_part_of_a_run_of_characters_finds_exactly_the_posts_that_contain_it(found):
    texts = {name: f"{title}\n{body}" for name, (title, body) in CORPUS.items()}
    runs = {run for text in texts.values() for run in RUN.findall(text)}
    parts = {run[start : start + length] for run in runs for length in (1, 2, 3, 5) for start in range(len(run))}
    assert len(parts) > 200
    for part in parts:
        assert set(found(part)) == {name for name, text in texts.items() if part in text}, part


@pytest.mark.parametrize("word", ["tea", "红茶", "茶", "コーヒー"])
def test_a_title_goes_before_a_body_in_each_language(word):
    posts = [
        PostFactory(title=title, body=body)
        for title, body in [("One", f"{word} {word} {word}"), (f"On {word}", "Two"), ("Three", f"Of {word}.")]
    ]
    deliver()
    hits = [hit.pk for hit in search_posts(word).items]
    assert hits[0] == posts[1].pk
    assert set(hits) == {post.pk for post in posts}


@pytest.mark.parametrize(
    ("query", "name", "marked"),
    [
        ("tomato", "garden", "<mark>Tomatoes</mark> grew"),
        ("watering", "garden", "we <mark>watered</mark> them"),
        ("图书馆", "library", "我在<mark>图书馆</mark>学习"),
        ("城", "forest", "一座<mark>城</mark>。"),
        ("データベース", "tokyo", "図書館で<mark>データベース</mark>を"),
        ("tomatoes 数据", "library", "<mark>数据</mark>结构。<mark>Tomatoes</mark> 和<mark>数据</mark>无关"),
    ],
)
def test_a_snippet_marks_what_was_found_in_each_language(corpus, query, name, marked):
    (snippet,) = [hit.snippet for hit in search_posts(query).items if hit.pk == corpus[name].pk]
    assert marked in snippet


@pytest.mark.parametrize("word", ["gardening", "数据库", "東京"])
def test_circle_author_and_what_is_hidden_hold_in_each_language(word):
    circle, viewer = CircleFactory(), UserFactory()
    body = "gardens 数据库 東京都"
    inside, outside, blocked, muted, deleted = (
        PostFactory(title=f"Post {n}", body=body, circle=circle if n == 0 else None) for n in range(5)
    )
    draft = PostFactory(title="Draft", body=body, status="draft")
    BlockFactory(user=blocked.author, target=viewer)
    MuteFactory(user=viewer, target=muted.author)
    deliver()
    Post.objects.get(pk=deleted.pk).delete()  # no worker has handled this event

    def found(**options):
        return {hit.pk for hit in search_posts(word, **options).items}

    assert found() == {inside.pk, outside.pk, blocked.pk, muted.pk}
    assert found(viewer=viewer) == {inside.pk, outside.pk}
    assert found(viewer=draft.author) == found()
    assert found(circle=circle) == {inside.pk}
    assert found(author=outside.author) == {outside.pk}
    assert found(author=muted.author, viewer=viewer) == set()
