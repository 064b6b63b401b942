"""The actions of accounts and tokens: what they change, and what they refuse."""

import pytest
from django.contrib.auth import authenticate

from feeds import actions
from feeds.errors import InvalidError, NotAllowedError, NotFoundError, TakenError
from feeds.models import ApiToken, Comment, Follow, Post, User
from tests.support.at_once import at_once
from tests.support.factories import (
    BlockFactory,
    CircleFactory,
    CommentFactory,
    FollowFactory,
    MembershipFactory,
    PostFactory,
    UserFactory,
)
from tests.support.refusals import refused

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse 1"


def test_who_registers_can_sign_in_whatever_the_case_of_the_name() -> None:
    user = actions.register(username="Ünal", password=PASSWORD, email="u@example.org")
    assert authenticate(username="üNAL", password=PASSWORD) == user
    assert (user.email, user.is_staff) == ("u@example.org", False)


@pytest.mark.parametrize("username", ["小明", "Ёж-7", "नमस्ते", "a_b-c", "ﬁve", "x" * 30])
def test_names_are_of_any_script(username: str) -> None:
    assert User.objects.named(actions.register(username=username, password=PASSWORD).username).exists()


@pytest.mark.parametrize(
    "username",
    ["", " ", "a b", "a.b", "a@b", "x" * 31, "a\u3164b", "\u3164", "a\0", "\ud800", "deleted-1", "Deleted-x", "😀"],
)
def test_other_names_are_refused(username: str) -> None:
    refused(InvalidError, "username", act=lambda: actions.register(username=username, password=PASSWORD))


@pytest.mark.parametrize("username", ["alice", "ALICE", "ａlice"])
def test_a_name_belongs_to_one_person_regardless_of_case_and_width(username: str) -> None:
    UserFactory(username="Alice")
    refused(TakenError, "username", act=lambda: actions.register(username=username, password=PASSWORD))


@pytest.mark.django_db(transaction=True)
def test_of_two_who_want_a_name_at_once_one_gets_it() -> None:
    def register() -> str:
        try:
            return actions.register(username="Alice", password=PASSWORD).username
        except TakenError:
            return "taken"

    assert sorted(at_once(register, register)) == ["Alice", "taken"]


@pytest.mark.parametrize("password", ["", "short", "12345678901", "password", "newcomer1", "a\ud800bcdefghi"])
def test_a_weak_password_is_refused(password: str) -> None:
    refused(InvalidError, "password", act=lambda: actions.register(username="newcomer1", password=password))
    assert not User.objects.exists()


def test_a_wrong_address_is_refused() -> None:
    refused(
        InvalidError, "email", act=lambda: actions.register(username="newcomer", password=PASSWORD, email="nowhere")
    )


def test_an_account_changes_only_what_it_is_told_to() -> None:
    user = actions.register(username="alice", password=PASSWORD, email="a@example.org")
    actions.change_account(user, username="Alicia", email="b@example.org")
    assert authenticate(username="alicia", password=PASSWORD).email == "b@example.org"
    actions.change_account(user, password="another horse 2")
    assert authenticate(username="Alicia", password="another horse 2") == user
    UserFactory(username="bob")
    refused(TakenError, "username", act=lambda: actions.change_account(user, username="BOB"))


def test_who_leaves_is_forgotten_and_what_was_written_stays() -> None:
    user = actions.register(username="alice", password=PASSWORD, email="a@example.org")
    post, comment = PostFactory(author=user), CommentFactory(author=user)
    _, secret = actions.create_token(user, name="script")
    FollowFactory(follower=user)
    FollowFactory(followee=user)
    MembershipFactory(user=user)
    BlockFactory(user=user)
    actions.delete_account(user)
    gone = User.objects.get(pk=user.pk)
    assert (gone.username, gone.email, gone.is_active) == (f"deleted-{user.pk}", "", False)
    assert not gone.has_usable_password()
    assert actions.token_of_secret(secret) is None
    for ties in (Follow.objects, user.memberships, user.blocks, ApiToken.objects):
        assert not ties.exists()
    assert (Post.objects.visible().get(pk=post.pk).author, Comment.objects.visible().get(pk=comment.pk).author) == (
        gone,
        gone,
    )
    refused(NotAllowedError, act=lambda: actions.create_post(user, title="Hello again"))
    refused(TakenError, "username", act=lambda: actions.register(username="alice", password=PASSWORD))


def test_a_banned_user_can_do_nothing() -> None:
    post, comment, circle, other = PostFactory(), CommentFactory(), CircleFactory(), UserFactory()
    banned = UserFactory(is_active=False)
    own = PostFactory(author=banned)
    for act in (
        lambda: actions.create_post(banned, title="Hello"),
        lambda: actions.edit_post(banned, post_id=own.pk, title="Hello"),
        lambda: actions.publish_post(banned, post_id=own.pk),
        lambda: actions.delete_post(banned, post_id=own.pk),
        lambda: actions.comment(banned, post_id=post.pk, content="Hello"),
        lambda: actions.edit_comment(banned, comment_id=comment.pk, content="Hello"),
        lambda: actions.delete_comment(banned, comment_id=comment.pk),
        lambda: actions.vote(banned, entity_type="post", entity_id=post.pk, vote_type="up"),
        lambda: actions.retract_vote(banned, entity_type="post", entity_id=post.pk),
        lambda: actions.follow(banned, username=other.username),
        lambda: actions.unfollow(banned, username=other.username),
        lambda: actions.set_bell(banned, username=other.username, bell=True),
        lambda: actions.block(banned, username=other.username),
        lambda: actions.unblock(banned, username=other.username),
        lambda: actions.mute(banned, username=other.username),
        lambda: actions.unmute(banned, username=other.username),
        lambda: actions.create_circle(banned, name="Tea"),
        lambda: actions.join(banned, slug=circle.slug),
        lambda: actions.leave(banned, slug=circle.slug),
        lambda: actions.create_token(banned, name="script"),
        lambda: actions.revoke_token(banned, token_id=1),
        lambda: actions.change_account(banned, email="b@example.org"),
        lambda: actions.delete_account(banned),
    ):
        refused(NotAllowedError, act=act)


def test_a_token_acts_for_its_user_until_it_is_revoked() -> None:
    user = UserFactory()
    token, secret = actions.create_token(user, name="script")
    assert secret not in token.digest
    assert actions.token_of_secret(secret).user == user
    actions.mark_used(token)
    assert ApiToken.objects.get().last_used_at is not None
    assert actions.token_of_secret("airy_guess") is None
    refused(NotFoundError, act=lambda: actions.revoke_token(UserFactory(), token_id=token.pk))
    actions.revoke_token(user, token_id=token.pk)
    assert actions.token_of_secret(secret) is None
    refused(NotFoundError, act=lambda: actions.revoke_token(user, token_id=token.pk))


def test_the_token_of_a_banned_user_is_worth_nothing() -> None:
    user = UserFactory()
    _, secret = actions.create_token(user, name="script")
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert actions.token_of_secret(secret) is None
