"""The migrations of the search, back and forth with documents in the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from feeds.models import Post
from feeds.search.reindex import reindex
from feeds.search.search import search_posts
from tests.support.factories import PostFactory

pytestmark = pytest.mark.django_db(transaction=True)

#: The migrations that change the table of documents, and the one before each.
STEPS = {
    "0016_search_words": "0015_sent_forms",
    "0019_indexes_beside": "0018_names_reserved",
    "0020_search_cost": "0019_indexes_beside",
}
#: What the version before the first of them asks.
EARLIER = {
    "postgresql": "SELECT post_id FROM feeds_searchdocument WHERE tsv @@ plainto_tsquery('english', %s)",
    "sqlite": "SELECT rowid FROM feeds_searchtext(%s)",
}


def change(name: str, *, backwards: bool = False) -> None:
    """Apply one migration, or take it back, as `migrate` does it."""
    executor = MigrationExecutor(connection)
    state = executor.loader.project_state(("feeds", STEPS[name]))
    migration = executor.loader.get_migration("feeds", name)
    with connection.schema_editor(atomic=migration.atomic) as editor:
        (migration.unapply if backwards else migration.apply)(state, editor)


@pytest.fixture
def back() -> Iterator[Callable[[], None]]:
    """A function: take the migrations back. The test goes forth, or its end does."""
    taken: list[str] = []

    def take_back() -> None:
        for name in reversed(STEPS):
            change(name, backwards=True)
            taken.append(name)

    def forth() -> None:
        while taken:
            change(taken.pop())

    take_back.forth = forth  # type: ignore[attr-defined]
    yield take_back
    forth()


def execute(sql: str, *parameters: object) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


def write_earlier(post: Post, title: str, body: str) -> None:
    """Index as the earlier version does."""
    execute("DELETE FROM feeds_searchdocument WHERE post_id = %s", post.pk)
    execute("INSERT INTO feeds_searchdocument (post_id, title, body) VALUES (%s, %s, %s)", post.pk, title, body)


def found_earlier(word: str) -> list[int]:
    return sorted(execute(EARLIER[connection.vendor], word))


def found(query: str) -> list[int]:
    return sorted(hit.pk for hit in search_posts(query).items)


def test_earlier_documents_are_found_after_the_migration_and_made_anew_by_reindex(back):
    posts = [PostFactory(title="Running old", body=f"Tea in 数据库 {n}") for n in range(3)]
    ids = [post.pk for post in posts]
    back()
    for post in posts:
        write_earlier(post, "running old", "tea in 数据 据库 库")
    assert found_earlier("runs") == ids

    back.forth()
    assert found("runs") == found("数据库") == found("tea running") == ids
    assert found_earlier("runs") == ids
    assert reindex() == 3
    assert found("runs") == found("数据库") == found("in") == ids
    assert found_earlier("runs") == []


def test_documents_stay_through_back_and_forth_and_the_index_follows_them(back):
    kept, changed = PostFactory(title="Tea", body="One cup"), PostFactory(title="Coffee", body="Two cups")
    reindex()
    back()
    assert execute("SELECT post_id FROM feeds_searchdocument ORDER BY post_id") == [kept.pk, changed.pk]
    assert found_earlier("cup") == []  # the earlier version has to index them
    write_earlier(changed, "milk", "two cups")
    assert found_earlier("cup") == [changed.pk]

    back.forth()
    assert found("cups") == [changed.pk]
    reindex()
    assert found("cups") == [kept.pk, changed.pk]
    assert found("milk") == []
    changed.delete()
    assert found("cups") == [kept.pk]
