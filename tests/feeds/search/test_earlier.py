"""Documents that an earlier version wrote are found, and so are all while both versions run."""

import pytest

from events.testing import deliver
from feeds.models import SearchDocument
from feeds.search.reindex import reindex
from feeds.search.search import search_posts
from tests.support.factories import PostFactory

pytestmark = pytest.mark.django_db


def found(query: str) -> list[int]:
    return [hit.pk for hit in search_posts(query).items]


@pytest.fixture
def posts():
    """One post indexed by the earlier version, one by this version, one by this and then by the earlier one."""
    old, new, both = (PostFactory(title=f"Running {n}", body="Tea in 数据库") for n in ("old", "new", "both"))
    deliver()
    earlier = {"title": "running old", "body": "tea in 数据 据库 库"}
    SearchDocument.objects.filter(pk=old.pk).update(**earlier, title_words="", body_words="", letters="")
    SearchDocument.objects.filter(pk=both.pk).update(**earlier | {"title": "running both and milk"})
    return old, new, both


@pytest.mark.parametrize("query", ["tea", "run", "running tea", "数据库", "据库", "数", '"running" 库', "tea -milky"])
def test_documents_of_both_versions_are_found(posts, query):
    assert set(found(query)) == {post.pk for post in posts}


def test_what_the_earlier_version_wrote_last_counts(posts):
    assert found("milk") == [posts[2].pk]
    assert set(found("tea -milk")) == {post.pk for post in posts[:2]}
    assert found("xyzzy") == found("-tea") == []


def test_pages_go_through_both_without_gap_or_double(posts):
    first = search_posts("tea", size=2)
    rest = search_posts("tea", size=2, cursor=first.next_cursor)
    assert sorted(hit.pk for page in (first, rest) for hit in page.items) == [post.pk for post in posts]


def test_reindexing_makes_the_earlier_documents_anew(posts):
    assert reindex() == 3
    assert not SearchDocument.objects.exclude(title="", body="").exists()
    assert set(found("teas")) == {post.pk for post in posts}
    assert found("milk") == []
