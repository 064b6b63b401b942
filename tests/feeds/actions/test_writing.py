"""The actions of posts and comments: who may write, edit and delete, and what is refused."""

import pytest

from feeds import actions
from feeds.errors import InvalidError, NotAllowedError, NotFoundError
from feeds.models import Post
from tests.support.factories import (
    CircleFactory,
    CommentFactory,
    PostFactory,
    UserFactory,
)
from tests.support.refusals import refused

pytestmark = pytest.mark.django_db

NO_SUCH_ID = 2**70


def test_a_post_is_cleaned_and_published() -> None:
    circle = CircleFactory(slug="茶")
    post = actions.create_post(UserFactory(), title="  Two\n words ", body="a\r\nb  \n", circle="茶")
    assert (post.title, post.body, post.circle, post.status) == ("Two words", "a\nb", circle, "published")
    assert post.published_at is not None


def test_a_draft_is_published_later() -> None:
    author = UserFactory()
    post = actions.create_post(author, title="Tea", status="draft")
    assert post.published_at is None
    assert actions.edit_post(author, post_id=post.pk, title="Green tea", status="published").is_visible
    assert Post.objects.visible().get().title == "Green tea"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("title", {"title": ""}),
        ("title", {"title": " \n"}),
        ("title", {"title": "x" * 301}),
        ("title", {"title": "a\0b"}),
        ("body", {"title": "x", "body": "x" * 40_001}),
        ("body", {"title": "x", "body": "\ud83d"}),
        ("circle", {"title": "x", "circle": "nowhere"}),
        ("circle", {"title": "x", "circle": "\0"}),
        ("status", {"title": "x", "status": "hidden"}),
    ],
)
def test_a_post_that_cannot_be_is_refused(field: str, values: dict[str, str]) -> None:
    author = UserFactory()
    refused(InvalidError, field, act=lambda: actions.create_post(author, **values))
    mine = PostFactory(author=author, status="draft")
    refused(InvalidError, field, act=lambda: actions.edit_post(author, post_id=mine.pk, **values))


def test_the_longest_post_is_taken() -> None:
    post = actions.create_post(UserFactory(), title="茶" * 300, body="茶" * 40_000)
    post.full_clean()


def test_only_the_author_edits_a_post_and_only_what_is_named() -> None:
    post = PostFactory(circle=CircleFactory())
    refused(NotAllowedError, act=lambda: actions.edit_post(UserFactory(), post_id=post.pk, title="Mine"))
    actions.edit_post(post.author, post_id=post.pk, body="New")
    post.refresh_from_db()
    assert (post.body, post.circle is None) == ("New", False)
    actions.edit_post(post.author, post_id=post.pk, circle=None)
    post.refresh_from_db()
    assert post.circle is None
    refused(InvalidError, "status", act=lambda: actions.edit_post(post.author, post_id=post.pk, status="draft"))


def test_nobody_else_knows_of_a_draft() -> None:
    draft, other = PostFactory(status="draft"), UserFactory(is_staff=True)
    for act in (
        lambda: actions.edit_post(other, post_id=draft.pk, title="Mine"),
        lambda: actions.delete_post(other, post_id=draft.pk),
        lambda: actions.comment(other, post_id=draft.pk, content="Hello"),
        lambda: actions.comment(draft.author, post_id=draft.pk, content="Hello"),
        lambda: actions.vote(draft.author, entity_type="post", entity_id=draft.pk, vote_type="up"),
    ):
        refused(NotFoundError, act=act)


@pytest.mark.parametrize("who", ["author", "owner", "staff"])
def test_author_circle_owner_and_staff_delete_posts_and_comments(who: str) -> None:
    circle = CircleFactory()
    post = PostFactory(circle=circle)
    comment = CommentFactory(post=post)
    staff = UserFactory(is_staff=True)
    actions.delete_comment(
        {"author": comment.author, "owner": circle.owner, "staff": staff}[who], comment_id=comment.pk
    )
    actions.delete_post({"author": post.author, "owner": circle.owner, "staff": staff}[who], post_id=post.pk)
    assert not Post.objects.visible().exists()
    refused(NotFoundError, act=lambda: actions.delete_post(post.author, post_id=post.pk))
    refused(NotFoundError, act=lambda: actions.delete_comment(comment.author, comment_id=comment.pk))


def test_others_delete_neither_posts_nor_comments() -> None:
    elsewhere, comment = CircleFactory().owner, CommentFactory()
    refused(NotAllowedError, act=lambda: actions.delete_post(elsewhere, post_id=comment.post_id))
    refused(NotAllowedError, act=lambda: actions.delete_comment(elsewhere, comment_id=comment.pk))
    refused(NotAllowedError, act=lambda: actions.delete_comment(comment.post.author, comment_id=comment.pk))


def test_a_comment_answers_a_comment_of_the_same_post() -> None:
    parent, user = CommentFactory(), UserFactory()
    answer = actions.comment(user, post_id=parent.post_id, parent_id=parent.pk, content="Why?")
    assert list(parent.children.all()) == [answer]
    elsewhere, deleted = CommentFactory(), CommentFactory(post=parent.post)
    deleted.delete()
    for unfit in (elsewhere.pk, deleted.pk, NO_SUCH_ID):
        refused(
            InvalidError,
            "parent_id",
            act=lambda unfit=unfit: actions.comment(user, post_id=parent.post_id, parent_id=unfit, content="Why?"),
        )


@pytest.mark.parametrize("content", ["", " \n ", "x" * 10_001, "\0"])
def test_a_comment_that_cannot_be_is_refused(content: str) -> None:
    comment = CommentFactory()
    refused(
        InvalidError, "content", act=lambda: actions.comment(comment.author, post_id=comment.post_id, content=content)
    )
    refused(
        InvalidError,
        "content",
        act=lambda: actions.edit_comment(comment.author, comment_id=comment.pk, content=content),
    )


def test_only_its_author_edits_a_comment() -> None:
    comment = CommentFactory()
    refused(
        NotAllowedError, act=lambda: actions.edit_comment(comment.post.author, comment_id=comment.pk, content="Mine")
    )
    assert actions.edit_comment(comment.author, comment_id=comment.pk, content="New").content == "New"


@pytest.mark.parametrize("content", ["[a]: http://x", "#", "> ", "-", "&#8203;", "\u200b"])
def test_a_comment_that_would_show_nothing_is_refused(content):
    post, user = PostFactory(), UserFactory()
    with pytest.raises(InvalidError):
        actions.comment(user, post_id=post.pk, content=content)


@pytest.mark.parametrize("content", ["***", "![](x)", "[](x)", "`a`", "https://example.com", "😀"])
def test_a_comment_that_shows_something_is_taken(content):
    post, user = PostFactory(), UserFactory()
    assert actions.comment(user, post_id=post.pk, content=content).content == content


@pytest.mark.parametrize("name", ["\u200b", "\u3164", "\u0301", "a" + "\u0301" * 20])
def test_a_name_that_shows_nothing_is_refused_for_circles_and_tokens(name):
    user = UserFactory()
    with pytest.raises(InvalidError):
        actions.create_circle(user, name=name, slug="tea")
    with pytest.raises(InvalidError):
        actions.create_token(user, name=name)
