"""Once: what the same form asks for is done one time, also when it arrives twice in one moment."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress

import pytest
from django.utils import timezone

from feeds import actions
from feeds.errors import NotAllowedError
from feeds.models import Comment, Post, SentForm, User
from tests.support.at_once import at_once
from tests.support.factories import PostFactory, UserFactory

pytestmark = pytest.mark.django_db


def say(user: User, post: Post, content: str, *, key: str = "k") -> actions.Done[Comment] | None:
    """Comment by a form."""
    return actions.once(
        user,
        key=key,
        content=content,
        act=lambda: actions.comment(user, post_id=post.pk, content=content),
        address=lambda made: f"/comments/{made.pk}",
    )


@pytest.mark.django_db(transaction=True)
def test_of_two_alike_at_once_one_is_made_and_both_are_told_where() -> None:
    user, post = UserFactory(), PostFactory()
    done = at_once(*[lambda: say(user, post, "Twice")] * 4)
    made = Comment.objects.get()
    assert {one.address for one in done} == {f"/comments/{made.pk}"}
    assert [one.made for one in done if one.made] == [made]


@pytest.mark.django_db(transaction=True)
def test_of_two_unlike_at_once_one_is_made_and_the_other_asks() -> None:
    user, post = UserFactory(), PostFactory()

    def either(content: str) -> str:
        try:
            done = say(user, post, content)
        except actions.SentBeforeError as before:
            return before.address
        assert done
        return done.address

    assert set(at_once(lambda: either("One"), lambda: either("Two"))) == {f"/comments/{Comment.objects.get().pk}"}


@pytest.mark.django_db(transaction=True)
def test_the_second_at_once_is_made_if_the_first_was_refused() -> None:
    user, post = UserFactory(), PostFactory()

    def refused() -> None:
        def act() -> Comment:
            raise NotAllowedError("no")

        with suppress(NotAllowedError):  # not raised if it comes second
            actions.once(user, key="k", content="Twice", act=act, address=lambda made: "")

    at_once(refused, lambda: say(user, post, "Twice"))
    assert Comment.objects.count() == 1


def test_nothing_is_remembered_of_what_was_not_made() -> None:
    user = UserFactory()
    assert actions.once(user, key="k", content="", act=lambda: None, address=lambda made: "") is None
    assert not SentForm.objects.exists()


def test_forms_of_more_than_a_day_ago_are_forgotten_in_passing() -> None:
    user, post = UserFactory(), PostFactory()
    for key in ("old", "older", "new"):
        say(user, post, f"Words {key}", key=key)
    SentForm.objects.filter(pk__in=SentForm.objects.order_by("pk")[:2]).update(
        sent_at=timezone.now() - dt.timedelta(days=1, minutes=1)
    )
    say(user, post, "Words", key="last")
    assert SentForm.objects.count() == 2


def test_the_content_cannot_be_read_from_what_is_remembered() -> None:
    say(UserFactory(), PostFactory(), "secret", key="plain")
    sent = SentForm.objects.get()
    assert "secret" not in f"{sent.digest}{sent.key}{sent.address}"
    assert "plain" not in sent.key


def test_a_deleted_account_leaves_no_forms() -> None:
    user = UserFactory()
    say(user, PostFactory(), "Words")
    user.delete()
    assert not SentForm.objects.exists()
