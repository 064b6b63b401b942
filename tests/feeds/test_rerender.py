"""Rerender: what is stored beside the texts is brought up to date, and nothing else changes."""

from __future__ import annotations

import pytest
from django.core.management import CommandError
from django.db import connection

from events.models import OutboxMessage, StoredEvent
from feeds import rerender
from feeds.batch import chunks
from feeds.models import Comment, CommentText, Post, PostText
from feeds.text.markdown import VERSION
from tests.support.command_output import command_output
from tests.support.factories import CommentFactory, PostFactory

pytestmark = pytest.mark.django_db


def test_what_is_missing_older_or_of_another_text_is_made_anew_and_only_that(texts_parsed) -> None:
    missing, older, other, right = (PostFactory(body=f"*{n}*") for n in range(4))
    comment = CommentFactory(post=right, content="*5*")
    PostText.objects.filter(post=missing).delete()
    PostText.objects.filter(post=older).update(version=VERSION - 1, html="older")
    CommentText.objects.update(digest="", html="other")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Post._meta.db_table} SET body = '*9*' WHERE id = %s", [other.pk])
    rows = [*Post.objects.order_by("pk").values(), *Comment.objects.values()]
    events = StoredEvent.objects.count(), OutboxMessage.objects.count()
    texts_parsed()
    assert command_output("rerender") == "4 texts rendered anew.\n"
    assert texts_parsed() == ["*0*", "*1*", "*9*", "*5*"]
    html = dict(PostText.objects.values_list("post", "html"))
    numbers = {missing: 0, older: 1, other: 9, right: 3}
    assert html == {post.pk: f"<p><em>{number}</em></p>\n" for post, number in numbers.items()}
    assert CommentText.objects.get().comment == comment
    assert command_output("rerender") == "0 texts rendered anew.\n"
    assert [*Post.objects.order_by("pk").values(), *Comment.objects.values()] == rows
    assert (StoredEvent.objects.count(), OutboxMessage.objects.count()) == events


def test_it_goes_on_where_it_stopped(monkeypatch) -> None:
    monkeypatch.setattr(chunks.chunks_of, "__kwdefaults__", {"size": 2, "after": 0})
    post = PostFactory()
    comments = [CommentFactory(post=post).pk for _ in range(5)]
    PostText.objects.all().delete()
    CommentText.objects.all().delete()
    one_chunk = rerender._rerender

    def fail_once(rows, ids):
        if comments[3] in ids:
            raise ValueError("a full disk")
        return one_chunk(rows, ids)

    with monkeypatch.context() as patch:
        patch.setattr(rerender, "_rerender", fail_once)
        with pytest.raises(CommandError, match=f"a full disk.*--after comment/{comments[1]}$"):
            command_output("rerender", "--jobs", "1")
    assert (PostText.objects.count(), CommentText.objects.count()) == (1, 2)
    assert command_output("rerender", "--after", f"comment/{comments[1]}") == "3 texts rendered anew.\n"
    assert CommentText.objects.count() == 5
