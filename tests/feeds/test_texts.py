"""Texts: what is made of a text is stored as it is written, whoever writes it, and no reader parses it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import serializers
from django.db import connection

from events.testing import deliver
from feeds import actions
from feeds.demo.load import load_demo
from feeds.models import Comment, CommentText, Post, PostText, Writing
from feeds.text.markdown import VERSION
from feeds.text.parsed import digest_of, parsed
from tests.feeds.stackexchange.dump_files import answer, load, question, write
from tests.support.api_client import Program
from tests.support.browsers import Window, window
from tests.support.factories import CircleFactory, CommentFactory, FollowFactory, PostFactory, UserFactory
from tests.support.ways_to_write import add_in_admin, change_in_admin, save, staff_client

pytestmark = pytest.mark.django_db

OLD, NEW = "Some *old* words.", "Some **new** words for @ada."


def out_of_date() -> list[str]:
    """The posts and comments whose stored text is missing or another one."""
    return [
        str(row)
        for model in (Post, Comment)
        for row in model.objects.all()
        if not (stored := model.stored_text.objects.filter(pk=row.pk).first())
        or (stored.digest, stored.version) != (digest_of(row.source), VERSION)
        or (stored.html, stored.words, stored.opening, tuple(stored.mentions)) != parsed(row.source)
    ]


def written_in_bulk(row: Post | Comment) -> None:
    setattr(row, row.text_field, NEW)
    type(row).objects.bulk_update([row], [row.text_field])


def loaded_from_a_fixture(row: Post | Comment) -> None:
    setattr(row, row.text_field, NEW)
    for loaded in serializers.deserialize("json", serializers.serialize("json", [row])):
        loaded.save()


CHANGES: dict[str, Callable[[Any], object]] = {
    "save": lambda row: save(row, **{row.text_field: NEW}),
    "some fields": lambda row: (setattr(row, row.text_field, NEW), row.save(update_fields=[row.text_field])),
    "bulk_update": written_in_bulk,
    "fixture": loaded_from_a_fixture,
    "admin": lambda row: change_in_admin(staff_client(), row, **{row.text_field: NEW}),
}


@pytest.mark.parametrize("way", CHANGES)
@pytest.mark.parametrize("factory", [PostFactory, CommentFactory])
def test_a_text_that_is_changed_is_stored_anew(way, factory) -> None:
    row = factory(**{factory._meta.model.text_field: OLD})
    assert out_of_date() == []
    CHANGES[way](row)
    fresh = type(row).objects.get(pk=row.pk)
    assert (fresh.source, out_of_date()) == (NEW, [])
    for known in (fresh, row) if row.source == NEW else (fresh,):
        assert known.html == "<p>Some <strong>new</strong> words for " + (
            '<a class="mention" href="/users/ada" rel="ugc nofollow">@ada</a>.</p>\n'
        )
        assert (known.words, known.opening, list(known.mentions)) == (
            "Some new words for @ada.",
            "Some new words for @ada.",
            ["ada"],
        )


def test_a_new_text_is_stored_whoever_writes_it(tmp_path, settings) -> None:
    settings.DEBUG = True  # the demo is for home only
    author, post = UserFactory(), PostFactory()
    Post.objects.bulk_create(Post(author=author, title=str(n), body=f"*{n}*") for n in range(3))
    Comment.objects.bulk_create(Comment(author=author, post=post, content=f"*{n}*") for n in range(3))
    Post.objects.create(author=author, title="draft", body="*a*", status="draft")
    actions.comment(author, post_id=actions.create_post(author, title="a", body="*b*").pk, content="*c*")
    add_in_admin(staff_client(), Post, author=author.pk, title="t", body="*d*", status="published")
    load(write(tmp_path / "garden", posts=[question(1, 1), answer(2, 1, 1)], comments=[]))
    load_demo()
    assert Post.objects.count() == PostText.objects.count() > 10
    assert Comment.objects.count() == CommentText.objects.count() > 10
    assert out_of_date() == []


def test_what_changes_no_text_parses_none(texts_parsed) -> None:
    post, comment = PostFactory(), CommentFactory()
    texts_parsed()
    save(post, title="Another")
    comment.save()
    Comment.objects.update(author=UserFactory())
    assert texts_parsed() == []
    assert out_of_date() == []


def test_reading_searching_indexing_and_notifying_parse_nothing(texts_parsed) -> None:
    bob = window(UserFactory(username="bob"))
    circle, follow = CircleFactory(slug="tea"), FollowFactory(follower=bob.user)
    post = PostFactory(author=follow.followee, circle=circle, title="tea", body="The *first* words.\n\n@bob")
    comment = CommentFactory(post=post, content="*Yes*, @bob")
    PostFactory(author=bob.user, status="draft", body="*unfinished*")
    mine = CommentFactory(post=post, author=bob.user, content="*mine*")
    texts_parsed()
    deliver()
    for reader in (bob, Window()):
        assert "<p>The <em>first</em> words.</p>" in reader.read(f"/posts/{post.pk}")
        for address in ("/", "/?sort=new", "/circles/tea", f"/users/{post.author.username}"):
            assert "The first words." in reader.read(address)
        assert "The <mark>first</mark> words." in reader.read("/search?q=first")
    assert "unfinished" in bob.read("/drafts")
    assert "<em>mine</em>" in bob.read(f"/comments/{mine.pk}/delete")
    assert "mentioned you" in bob.read("/notifications")
    for path in ("/posts", "/search?q=first", f"/posts/{post.pk}/comments"):
        assert Program().items(path)
    assert comment.author != bob.user
    assert texts_parsed() == []


def in_sql(row: Writing, text: str) -> None:
    """Write the text as code does that does not know what is stored beside it."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {row._meta.db_table} SET {row.text_field} = %s WHERE id = %s", [text, row.pk])


@pytest.mark.parametrize("factory", [PostFactory, CommentFactory])
def test_a_text_that_was_changed_in_sql_is_parsed_by_its_readers(factory, texts_parsed) -> None:
    row = factory(**{factory._meta.model.text_field: OLD})
    in_sql(row, NEW)
    texts_parsed()
    changed = type(row).objects.with_text("opening", "words").get(pk=row.pk)
    assert (changed.opening, list(changed.mentions)) == ("Some new words for @ada.", ["ada"])
    assert texts_parsed() == [NEW]
    save(changed, **{row.text_field: OLD})
    assert out_of_date() == []


def test_what_was_stored_before_the_table_was_there_is_read_and_shown() -> None:
    post = PostFactory(title="tea", body="The *first* words.")
    comment = CommentFactory(post=post, content="An *answer*")
    PostText.objects.all().delete()
    CommentText.objects.all().delete()
    deliver()
    shown = Window().read(f"/posts/{post.pk}")
    assert "<em>first</em>" in shown
    assert "<em>answer</em>" in shown
    assert "The <mark>first</mark> words." in Window().read("/search?q=first")
    assert list(comment.mentions) == []


def test_what_an_older_parser_made_is_shown_until_it_is_made_anew(texts_parsed) -> None:
    post = PostFactory(body="words")
    PostText.objects.update(version=VERSION - 1, html="<p>older</p>")
    texts_parsed()
    assert "<p>older</p>" in Window().read(f"/posts/{post.pk}")
    assert texts_parsed() == []


@pytest.mark.parametrize("way", ["save", "update"])
def test_nothing_is_left_of_a_text_that_is_overwritten(way) -> None:
    row = CommentFactory(content="A secret, @ada")
    if way == "save":
        save(row, content="")
    else:
        Comment.objects.filter(pk=row.pk).update(content="")
    kept = [value for stored in CommentText.objects.values() for value in stored.values()]
    assert "secret" not in repr(kept)
    assert "ada" not in repr(kept)
    assert Comment.objects.get(pk=row.pk).html == ""


def test_a_list_loads_neither_html_nor_words(django_assert_num_queries) -> None:
    PostFactory()
    (post,) = Post.objects.with_text("opening")
    assert post.text.get_deferred_fields() == {"html", "words", "version", "mentions"}
    with django_assert_num_queries(0):
        assert post.opening == "Some words."
