"""Search on its page."""

import pytest

from events.testing import deliver
from tests.factories import PostFactory
from tests.feeds.windows import Window

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


@pytest.mark.parametrize("query", ["", "   ", "-", '"', "nothing-like-it", "<script>", "a" * 5000, "%00"])
def test_nothing_is_found_without_fuss(query):
    page = Window().read(f"/search?q={query}")
    assert "<script>" not in page.replace('<script src="', "")
