"""The page of the search."""

import pytest

from events.testing import deliver
from tests.support.browsers import Window
from tests.support.factories import CircleFactory, PostFactory

pytestmark = pytest.mark.django_db


def test_what_is_found_is_shown_with_its_words_marked():
    PostFactory(title="Balcony", body="Growing <tomatoes> in pots")
    PostFactory(title="Elsewhere", body="Nothing of that")
    deliver()
    page = Window().read("/search?q=tomato")
    assert "Balcony" in page
    assert "&lt;<mark>tomatoes</mark>&gt;" in page
    assert "Elsewhere" not in page
    assert 'value="tomato"' in page


def test_chinese_is_found():
    PostFactory(title="三体读后感", body="黑暗森林")
    deliver()
    assert "三体读后感" in Window().read("/search?q=森林")


def test_a_circle_or_an_author_is_searched_alone():
    circle = CircleFactory(name="Gardens")
    inside = PostFactory(title="Tea inside", circle=circle)
    PostFactory(title="Tea outside")
    deliver()
    for way, name, told in (("circle", circle.slug, "Gardens"), ("author", inside.author.username, "Only posts by")):
        page = Window().read(f"/search?q=tea&{way}={name}")
        assert "Tea inside" in page
        assert "Tea outside" not in page
        assert told in page
        assert f'name="{way}" value="{name}"' in page
    for page in (f"/circles/{circle.slug}", f"/users/{inside.author.username}"):
        assert "/search?" in Window().read(page)


def test_a_circle_that_is_not_there_is_not_searched():
    Window().read("/search?q=tea&circle=nowhere", 404)


@pytest.mark.parametrize("query", ["", "   ", "-", '"', "nothing-like-it", "<script>", "a" * 5000, "%00"])
def test_nothing_is_found_without_fuss(query):
    page = Window().read(f"/search?q={query}")
    assert "<script>" not in page.replace('<script src="', "")
