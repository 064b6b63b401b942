"""Accounts: what is left in the database of a person who leaves, and of the name in what others wrote."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from events.models import OutboxMessage
from events.repair.replay import events_for, replay
from events.subscription import subscriptions
from events.testing import deliver
from feeds import actions
from feeds.errors import TakenError
from feeds.models import Comment, Post, User
from notifications.models import Notification
from tests.feeds.erasing.test_texts import dead_letters_of_apps, replay_everything
from tests.support.factories import (
    CircleFactory,
    CommentFactory,
    FollowFactory,
    MembershipFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)
from tests.support.planted import found_in_database
from tests.support.ways_to_write import change_in_admin, staff_client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quoting_subscriber")]

NAME, EARLIER, WORD = "Zanzibarite", "Pemberlite", "quixotrous"
PASSWORD = "correct horse 1"


def places(text: str) -> set[str]:
    return {place for place, _ in found_in_database(text)}


@pytest.fixture
def leaver() -> User:
    """A person with an earlier name, texts, a circle, notices here and there, and mentions in what others wrote."""
    user = actions.register(username=EARLIER, password=PASSWORD, email=f"{WORD}@example.org")
    friend = UserFactory()
    CommentFactory(author=friend, content=f"Hello @{EARLIER}, as I said.")
    deliver()
    actions.change_account(user, username=NAME)
    user.last_login = timezone.now()
    user.save()
    user.groups.add(Group.objects.create(name="testers"))
    FollowFactory(follower=user, followee=friend)
    FollowFactory(follower=friend, followee=user)
    post = PostFactory(author=user, title=f"{WORD} first", body=f"{WORD} second")
    PostFactory(author=user, title=f"{WORD} draft", body=f"{WORD} draft", status="draft")
    CommentFactory(author=user, content=f"{WORD} third", post__author=friend)
    PostFactory(
        author=friend, body=f"Ask @{NAME.lower()}! Not `@{NAME}` in code.\n\nMail x@{NAME}.example\n\n交给@{NAME}处理"
    )
    edited = CommentFactory(author=friend, content=f"@{NAME} and @{NAME}x", post=post)
    actions.edit_comment(friend, comment_id=edited.pk, content="nobody")
    VoteFactory(user=user, post=PostFactory(author=friend))
    VoteFactory(user=friend, post=post)
    deliver()
    change_in_admin(staff_client(), user, email=f"{WORD}.new@example.org")
    deliver()
    return user


def test_a_person_who_keeps_texts_leaves_no_name_anywhere_but_a_digest(leaver: User) -> None:
    before = found_in_database(WORD)
    assert places(NAME) >= {"feeds_user.username", "events_delivery.body", "notifications_notification.data"}
    actions.delete_account(leaver)
    assert not {place for place in places(NAME) | places(EARLIER) if place.startswith("feeds_user.")}, "at once"
    deliver()
    code = Post.objects.get(body__contains="in code")
    assert code.body.splitlines() == [
        f"Ask @deleted-{leaver.pk}! Not `@{NAME}` in code.",
        "",
        f"Mail x@{NAME}.example",
        "",
        f"交给@deleted-{leaver.pk}处理",
    ]
    assert Comment.objects.filter(content=f"Hello @deleted-{leaver.pk}, as I said.").exists()
    Post.objects.filter(pk=code.pk).first().delete()  # type: ignore[union-attr]
    deliver()
    assert places(f"{NAME} ") | places(f'{NAME}"') | places(f"{NAME}'") == set()
    assert places(EARLIER) == set()
    left = dict(found_in_database(WORD))
    assert left["feeds_post.title"] == dict(before)["feeds_post.title"] - 1, "all but the draft"
    assert "feeds_user.email" not in left
    assert "feeds_user.confirmed_email" not in left
    assert dead_letters_of_apps() == []


def test_a_person_who_erases_texts_leaves_nothing_at_all(leaver: User) -> None:
    actions.delete_account(leaver, erase_texts=True)
    deliver()
    assert places(WORD) == set()
    assert places(EARLIER) == set()
    assert not Post.objects.visible().filter(author=leaver).exists()
    replay_everything()
    assert places(WORD) == set()
    assert dead_letters_of_apps() == []


def test_after_every_topic_is_replayed_nobody_who_is_gone_is_greeted(leaver: User) -> None:
    actions.delete_account(leaver)
    deliver()
    Notification.objects.filter(user=leaver).delete()
    replay_everything()
    for name in subscriptions:
        replay(name, events_for(name))
    deliver()
    VoteFactory(post=Post.objects.visible().filter(author=leaver).first())
    deliver()
    assert not Notification.objects.filter(user=leaver).exists()
    assert dead_letters_of_apps() == []


def test_neighbours_with_almost_the_same_name_keep_it() -> None:
    leaver, neighbour = UserFactory(username="anna"), UserFactory(username="anna-2")
    text = "@anna-2 and @annabel and anna and @anna"
    post = PostFactory(body=text, author=neighbour)
    actions.delete_account(leaver)
    deliver()
    post.refresh_from_db()
    assert post.body == f"@anna-2 and @annabel and anna and @deleted-{leaver.pk}"
    assert f"deleted-{leaver.pk}" in post.html
    assert post.updated_at < timezone.now()


def test_a_large_account_is_erased_chunk_by_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    from feeds.erasing import accounts

    monkeypatch.setattr(accounts, "TEXTS_PER_CHUNK", 2)
    monkeypatch.setattr(accounts, "SCANNED_PER_CHUNK", 2)
    leaver = UserFactory()
    for _ in range(5):
        PostFactory(author=leaver, body=WORD)
        CommentFactory(author=leaver, content=WORD)
        CommentFactory(content=f"@{leaver.username} {WORD[:4]}")
    deliver()
    actions.delete_account(leaver, erase_texts=True)
    rows = OutboxMessage.objects.count()
    assert rows < 10, "one event, however large the account is"
    deliver()
    assert places(WORD) == set()
    assert Comment.objects.filter(content__contains=f"@deleted-{leaver.pk} ").count() == 5


@pytest.mark.parametrize("wanted", ["anna", "ANNA", "ａnna"])
def test_the_name_of_one_who_left_is_never_free_again(wanted: str) -> None:
    actions.delete_account(actions.register(username="Anna", password=PASSWORD))
    with pytest.raises(TakenError):
        actions.register(username=wanted, password=PASSWORD)
    with pytest.raises(TakenError):
        actions.change_account(UserFactory(), username=wanted)


def test_who_takes_another_name_may_have_the_old_one_back_and_nobody_else() -> None:
    anna = actions.register(username="anna", password=PASSWORD)
    actions.change_account(anna, username="anne")
    with pytest.raises(TakenError):
        actions.register(username="anna", password=PASSWORD)
    assert actions.change_account(anna, username="Anna").username == "Anna"
    with pytest.raises(TakenError):
        actions.register(username="anne", password=PASSWORD)


def test_a_name_stays_reserved_when_the_key_changes(settings: object) -> None:
    actions.delete_account(actions.register(username="anna", password=PASSWORD))
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]  # type: ignore[attr-defined]
    settings.SECRET_KEY = "another key of the installation, long enough"  # type: ignore[attr-defined]
    with pytest.raises(TakenError):
        actions.register(username="anna", password=PASSWORD)


def test_a_circle_passes_to_its_longest_member() -> None:
    circle = CircleFactory()
    first, _ = MembershipFactory(circle=circle), MembershipFactory(circle=circle)
    banned = MembershipFactory(circle=circle, user__is_active=False)
    assert banned.user != first.user
    actions.delete_account(circle.owner)
    circle.refresh_from_db()
    assert circle.owner == first.user


def test_a_circle_without_other_members_is_left_to_the_staff() -> None:
    circle = CircleFactory()
    owner, post = circle.owner, PostFactory(circle=circle)
    actions.delete_account(owner)
    circle.refresh_from_db()
    assert circle.owner == owner
    actions.delete_post(UserFactory(is_staff=True), post_id=post.pk)
    assert not Post.objects.visible().exists()


@pytest.mark.parametrize(("choice", "left"), [({}, 1), ({"texts": "keep"}, 1), ({"texts": "erase"}, 0)])
def test_the_choice_is_made_by_the_api(client: Client, choice: dict[str, str], left: int) -> None:
    user = actions.register(username="anna", password=PASSWORD)
    PostFactory(author=user)
    client.force_login(user)
    answer = client.delete("/api/me", {"current_password": PASSWORD, **choice}, content_type="application/json")
    assert answer.status_code == 204, answer.content
    deliver()
    assert Post.objects.visible().count() == left


@pytest.mark.parametrize(("texts", "left"), [("keep", 1), ("erase", 0), ("", 1)])
def test_the_choice_is_made_on_the_page(client: Client, texts: str, left: int) -> None:
    user = actions.register(username="anna", password=PASSWORD)
    PostFactory(author=user)
    client.force_login(user)
    answer = client.post("/settings/delete", {"leaving-current": PASSWORD, "leaving-texts": texts})
    assert answer.status_code == 302, answer.content.decode()
    deliver()
    assert Post.objects.visible().count() == left
