"""Texts: what is left in the database of a post or comment that is deleted, removed, restored."""

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from events.models import Delivery, OutboxMessage, StoredEvent
from events.repair.replay import events_for, replay
from events.subscription import subscriptions
from events.testing import deliver
from feeds import actions
from feeds.errors import NotFoundError
from feeds.models import Comment, Post, SearchDocument
from feeds.models.soft_delete import RESTORABLE
from notifications.models import Notification
from tests.support.command_output import command_output
from tests.support.factories import (
    CircleFactory,
    CommentFactory,
    FollowFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)
from tests.support.planted import found_in_database
from tests.support.ways_to_write import change_in_admin, delete_in_admin, staff_client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quoting_subscriber")]

MARK = "zanzibarite"


def places() -> set[str]:
    return {place for place, _ in found_in_database(MARK)}


def replay_everything() -> None:
    """Every topic once more, to every subscriber that can take it."""
    for name in subscriptions:
        replay(name, events_for(name, suppressed=True))
    deliver()


def dead_letters_of_apps() -> list[str]:
    dead = Delivery.objects.filter(state="dead").exclude(subscriber__startswith="effects.")
    return [f"{one}: {one.reason}" for one in dead]


@pytest.fixture
def post() -> Post:
    """A post of marked words, that people follow, vote for and comment on, and that a moderator changed."""
    circle = CircleFactory()
    post: Post = PostFactory(title=f"On {MARK}", body=f"{MARK} is **a word**, @{circle.owner}", circle=circle)
    follow = FollowFactory(followee=post.author)
    VoteFactory(post=post)
    CommentFactory(post=post, author=follow.follower)
    deliver()
    change_in_admin(staff_client(), post, body=f"{MARK} still")
    deliver()
    return post


@pytest.fixture
def comment(post: Post) -> Comment:
    """A comment of marked words on a post without any."""
    comment: Comment = CommentFactory(content=f"I say {MARK}, @{post.author}", post__circle=post.circle)
    CommentFactory(post=comment.post, parent=comment)
    VoteFactory(comment=comment)
    deliver()
    change_in_admin(staff_client(), comment, content=f"I said {MARK}")
    post.delete()
    deliver()
    return comment


def test_the_words_of_a_post_stand_where_they_are_looked_for(post: Post) -> None:
    found = places()
    assert found >= {
        "feeds_post.title",
        "feeds_post.body",
        "events_storedevent.data",
        "events_delivery.body",
        "events_delivery.reason",
        "events_attempt.error",
        "events_attempt.traceback",
        "notifications_notification.data",
        "django_admin_log.object_repr",
    }
    assert SearchDocument.objects.filter(post=post).exists()


def test_a_post_that_its_author_deletes_is_nowhere_any_more(post: Post) -> None:
    actions.delete_post(post.author, post_id=post.pk)
    assert places() <= {"notifications_notification.data"}, "at once, but for the notices"
    deliver()
    assert places() == set()
    assert StoredEvent.objects.filter(subject=post.entity, topic="post.published", redacted_at__isnull=False).exists()
    replay_everything()
    assert places() == set()
    assert dead_letters_of_apps() == []
    assert Notification.objects.shown().filter(post_id=post.pk).count() == 0


def test_a_draft_that_is_deleted_is_nowhere_any_more() -> None:
    draft = PostFactory(title=MARK, body=MARK, status="draft")
    actions.delete_post(draft.author, post_id=draft.pk)
    assert places() == set()


def test_a_comment_that_its_author_deletes_keeps_its_place_and_no_word(comment: Comment, client: Client) -> None:
    assert places() >= {"feeds_comment.content", "events_storedevent.data", "django_admin_log.object_repr"}
    actions.delete_comment(comment.author, comment_id=comment.pk)
    deliver()
    assert places() == set()
    page = client.get(f"/posts/{comment.post_id}").content.decode()
    assert f'id="comment-{comment.pk}"' in page
    assert "This comment was deleted by its author." in page
    replay_everything()
    assert places() == set()
    assert dead_letters_of_apps() == []


def test_neighbours_keep_every_word(post: Post) -> None:
    other = PostFactory(title="On pemberlite", body="pemberlite", author=post.author, circle=post.circle)
    CommentFactory(post=other, author=post.author, content="pemberlite too")
    deliver()
    before = found_in_database("pemberlite")
    actions.delete_post(post.author, post_id=post.pk)
    deliver()
    assert found_in_database("pemberlite") == before


def test_an_instance_that_was_loaded_before_brings_no_word_back(post: Post, comment: Comment) -> None:
    stale_post, stale_comment = Post.objects.get(pk=post.pk), Comment.objects.get(pk=comment.pk)
    actions.delete_comment(comment.author, comment_id=comment.pk)
    stale_post.title = stale_comment.content = MARK
    stale_post.save()
    stale_comment.save(update_fields=["content"])
    deliver()
    assert places() == set()


def test_a_removed_post_is_hidden_at_once_and_kept_for_its_moderator(post: Post, client: Client) -> None:
    owner = post.circle.owner  # type: ignore[union-attr]
    actions.delete_post(owner, post_id=post.pk, reason="off topic")
    deliver()
    assert places() >= {"feeds_post.title", "feeds_post.body", "events_storedevent.data"}
    assert "notifications_notification.data" not in places()
    assert not SearchDocument.objects.filter(post=post).exists()
    post.refresh_from_db()
    assert (post.removed_by, post.removal_reason, post.erased_at) == (owner, "off topic", None)
    answer = client.get(f"/posts/{post.pk}")
    assert answer.status_code == 404
    assert "removed by a moderator" in answer.content.decode()
    api = client.get(f"/api/posts/{post.pk}")
    assert (api.status_code, "removed by a moderator" in api.json()["detail"]) == (404, True)


def test_what_was_removed_can_be_restored_by_a_moderator_alone(post: Post) -> None:
    owner = post.circle.owner  # type: ignore[union-attr]
    answer = CommentFactory(post=post, content="hello")
    deliver()
    actions.delete_comment(owner, comment_id=answer.pk)
    actions.delete_post(owner, post_id=post.pk)
    deliver()
    for stranger in (post.author, answer.author, UserFactory()):
        with pytest.raises(NotFoundError):
            actions.restore_post(stranger, post_id=post.pk)
        with pytest.raises(NotFoundError):
            actions.restore_comment(stranger, comment_id=answer.pk)
    actions.restore_post(owner, post_id=post.pk)
    actions.restore_comment(owner, comment_id=answer.pk)
    deliver()
    post.refresh_from_db()
    assert post.is_visible
    assert (post.removed_by, post.removal_reason) == (None, "")
    assert SearchDocument.objects.filter(post=post).exists()
    with pytest.raises(NotFoundError):
        actions.restore_post(owner, post_id=post.pk)
    assert dead_letters_of_apps() == []


def test_the_counts_agree_after_a_removal_and_a_restoring(comment: Comment, client: Client) -> None:
    owner = comment.post.circle.owner  # type: ignore[union-attr]

    def count() -> int:
        deliver()
        return int(client.get(f"/api/posts/{comment.post_id}").json()["comment_count"])

    assert count() == 2
    actions.delete_comment(owner, comment_id=comment.pk)
    assert count() == 1
    actions.restore_comment(owner, comment_id=comment.pk)
    assert count() == 2


@pytest.mark.parametrize("days", [29, 31])
def test_what_was_removed_is_erased_after_thirty_days_and_not_before(post: Post, days: int) -> None:
    actions.delete_post(post.circle.owner, post_id=post.pk)  # type: ignore[union-attr]
    deliver()
    waiting = OutboxMessage.objects.get(event__topic="feed.text_removed")
    assert waiting.due is not None
    assert abs(waiting.due - timezone.now() - RESTORABLE) < dt.timedelta(minutes=5)
    Post.objects.filter(pk=post.pk).update(deleted_at=timezone.now() - dt.timedelta(days=days))
    OutboxMessage.objects.update(due=timezone.now() - dt.timedelta(minutes=1))
    deliver()
    assert bool(places()) == (days < 30)
    if days > 30:
        post.refresh_from_db()
        assert (post.title, post.body, post.removed_by_id is None) == ("", "", False)
        with pytest.raises(NotFoundError):
            actions.restore_post(post.circle.owner, post_id=post.pk)  # type: ignore[union-attr]
        replay_everything()
        assert places() == set()
        assert dead_letters_of_apps() == []


def test_what_was_deleted_before_deleting_erased_is_erased_by_the_command(post: Post, comment: Comment) -> None:
    old = timezone.now() - dt.timedelta(days=31)
    Comment.objects.filter(pk=comment.pk).update(deleted_at=old)
    assert "comment: 1 erased" in command_output("erase_removed")
    assert "comment: 0 erased" in command_output("erase_removed")
    assert places() == set()


def test_deleting_in_the_admin_is_a_removal_that_can_be_taken_back_there(post: Post) -> None:
    client = staff_client()
    delete_in_admin(client, post)
    deliver()
    post.refresh_from_db()
    assert post.is_restorable
    client.post("/admin/feeds/post/", {"action": "restore", "_selected_action": [post.pk]})
    deliver()
    post.refresh_from_db()
    assert post.is_visible


def test_a_moderator_restores_on_the_pages(post: Post, comment: Comment, client: Client) -> None:
    owner = comment.post.circle.owner  # type: ignore[union-attr]
    client.force_login(owner)
    page = f"/posts/{comment.post_id}"
    client.post(f"/comments/{comment.pk}/delete")
    assert "This comment was removed by a moderator." in client.get(page).content.decode()
    assert client.post(f"/comments/{comment.pk}/restore").status_code == 302
    assert f"I said {MARK}" in client.get(page).content.decode()
    answer = client.post(f"{page}/delete", follow=True)
    assert answer.redirect_chain[-1][0] == f"{page}/restore"
    assert post.html in answer.content.decode()
    assert client.post(f"{page}/restore").status_code == 302
    assert client.get(page).status_code == 200
    client.force_login(UserFactory())
    assert client.get(f"{page}/restore").status_code == 404
