"""Models: the rules that hold for every save and delete, without the actions."""

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, transaction

from events.testing import emitted
from feeds.events import CommentDeleted, PostPublished, UserRegistered
from feeds.models import Circle, Comment, Post, User
from tests.support.factories import CircleFactory, CommentFactory, PostFactory, UserFactory, VoteFactory

pytestmark = pytest.mark.django_db


def test_a_name_is_stored_in_one_spelling_and_found_in_any_case() -> None:
    user = UserFactory(username="Ｓtraße")
    assert user.username == "Straße"
    assert User.objects.named("STRASSE", "nobody").get() == user
    assert User.objects.get_by_natural_key("strasse") == user


def test_the_database_refuses_a_name_that_differs_in_case_alone() -> None:
    UserFactory(username="Élan")
    with pytest.raises(IntegrityError), transaction.atomic():
        UserFactory(username="éLAN")
    with pytest.raises(ValidationError, match="taken"):
        User(username="ÉLAN").full_clean(exclude=["password"])


def test_a_renamed_user_is_found_by_the_new_name() -> None:
    user = UserFactory(username="alice")
    user.username = "Bob"
    user.save(update_fields=["username"])
    assert list(User.objects.named("bob")) == [user]
    assert not User.objects.named("alice").exists()


def test_a_superuser_made_on_the_command_line_is_registered_like_anyone() -> None:
    call_command("createsuperuser", interactive=False, username="Root", email="root@example.org", verbosity=0)
    root = User.objects.get()
    assert root.is_superuser
    assert emitted(UserRegistered) == [UserRegistered(user_id=root.pk, username="Root")]


def test_the_name_of_the_gone_is_kept_for_them() -> None:
    user = UserFactory()
    user.delete()
    User.objects.get(pk=user.pk).full_clean(exclude=["password"])
    with pytest.raises(ValidationError, match="deleted"):
        User(username=f"Deleted-{user.pk + 1}").full_clean(exclude=["password"])


def test_publishing_by_a_partial_save_notes_when() -> None:
    post = PostFactory(status="draft")
    post.status = "published"
    post.save(update_fields=["title"])
    assert Post.objects.get(pk=post.pk).published_at is None
    post.save(update_fields=["status"])
    row = Post.objects.get(pk=post.pk)
    assert row.published_at == post.published_at is not None
    assert row.updated_at > row.created_at
    assert len(emitted(PostPublished)) == 1


def test_visible_is_published_and_not_deleted() -> None:
    post = PostFactory()
    PostFactory(status="draft")
    PostFactory().delete()
    assert list(Post.objects.visible()) == [post]
    assert [row.is_visible for row in Post.objects.order_by("pk")] == [True, False, False]


def test_drafts_are_those_of_their_author_the_latest_first() -> None:
    author = UserFactory()
    older, newer = PostFactory(author=author, status="draft"), PostFactory(author=author, status="draft")
    PostFactory(status="draft")
    PostFactory(author=author)
    PostFactory(author=author, status="draft").delete()
    assert list(Post.objects.drafts_of(author)) == [newer, older]
    older.save()
    assert list(Post.objects.drafts_of(author)) == [older, newer]


def test_a_deleted_comment_keeps_its_answers_and_loses_its_content() -> None:
    comment = CommentFactory(content="Gone now.")
    answer = CommentFactory(post=comment.post, parent=comment)
    Comment.objects.filter(pk=comment.pk).delete()
    assert Comment.objects.get(pk=comment.pk).content == ""
    assert list(Comment.objects.visible()) == [answer]
    assert len(emitted(CommentDeleted)) == 1


def test_a_comment_answers_none_of_another_post() -> None:
    with pytest.raises(ValidationError, match="another post"):
        CommentFactory.build(
            post=PostFactory(), author=UserFactory(), parent=CommentFactory(), content="Why?"
        ).full_clean()


def test_a_vote_is_on_something_that_is_there() -> None:
    with pytest.raises(ValidationError, match="doesn't exist"):
        VoteFactory.build(user=UserFactory(), entity_type="comment", entity_id=PostFactory().pk).full_clean()


def test_a_circle_is_found_in_any_case_and_its_owner_belongs_to_it() -> None:
    circle = CircleFactory(slug="grüntee")
    assert Circle.objects.with_slug("GRÜNTEE").with_member_count().get().member_count == 1
    circle.name = "Grüner Tee"
    circle.save()
    assert circle.memberships.get().user == circle.owner


def test_the_slug_of_a_circle_is_stored_in_one_spelling_whoever_saves_it() -> None:
    circle = CircleFactory(slug="Ｒust")
    assert circle.slug == "rust"
    assert Circle.objects.with_slug("RUST").get() == circle
    with pytest.raises(ValidationError, match="already exists"):
        Circle(slug="RUST", name="Rust", owner=circle.owner).full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        CircleFactory(slug="RUST")
    circle.slug = "Go"
    circle.save(update_fields=["slug"])
    assert Circle.objects.with_slug("go").get() == circle


def test_a_slug_is_checked_as_it_is_stored() -> None:
    with pytest.raises(ValidationError, match="at most 50"):
        Circle(slug="ﬃ" * 30, name="Weights", owner=UserFactory()).full_clean()


def test_no_circle_takes_the_address_of_a_page() -> None:
    owner = UserFactory()
    with pytest.raises(ValidationError, match="address is already taken"):
        Circle(slug="New", name="New", owner=owner).full_clean()
    with pytest.raises(ValidationError, match="address is already taken"):
        Circle.objects.create(slug="New", name="New", owner=owner)
    assert not Circle.objects.exists()
