"""The page of notifications, and the number of unread notices on every page."""

import pytest

from events.testing import deliver
from feeds.lists.pagination import PAGE_SIZE
from notifications import views
from notifications.models import Stream
from tests.support.browsers import Window, shown, window
from tests.support.factories import CommentFactory, FollowFactory, PostFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_notices_are_listed_with_their_text_and_link():
    alice = window()
    comment = CommentFactory(post=PostFactory(author=alice.user, title="Tomatoes"), author=UserFactory(username="bob"))
    deliver()
    page = alice.read("/notifications")
    assert "bob commented on “Tomatoes”" in page
    assert f'href="/posts/{comment.post_id}' in page
    assert f"#comment-{comment.pk}" in page


def test_the_bell_counts_unread_notices_until_they_are_read():
    alice = window()
    FollowFactory(followee=alice.user)
    deliver()
    unread = Stream.objects.get(user=alice.user).unread
    assert unread
    page = alice.read("/circles")
    assert f"data-unread>{unread}</span>" in page
    seq = Stream.objects.get(user=alice.user).seq
    assert f'name="upto" value="{seq}"' in alice.read("/notifications")
    page = shown(alice.send("/notifications/read", upto=seq))
    assert "data-unread hidden>0</span>" in page
    assert "Mark all as read" not in page


def test_a_notice_that_came_after_the_page_stays_unread():
    alice = window()
    FollowFactory(followee=alice.user)
    deliver()
    seq = Stream.objects.get(user=alice.user).seq
    FollowFactory(followee=alice.user)
    deliver()
    alice.send("/notifications/read", upto=seq)
    assert Stream.objects.get(user=alice.user).unread == 1


def test_a_notice_that_came_while_the_page_was_rendered_stays_unread(monkeypatch):
    alice = window()
    FollowFactory(followee=alice.user)
    deliver()
    listed = views.latest_notices

    def latest_notices(*args, **options):
        page = listed(*args, **options)
        FollowFactory(followee=alice.user)
        deliver()
        return page

    monkeypatch.setattr(views, "latest_notices", latest_notices)
    page = alice.read("/notifications")
    seq = Stream.objects.get(user=alice.user).seq
    assert f'data-seq="{seq - 1}"' in page
    assert f'name="upto" value="{seq - 1}"' in page
    Stream.objects.all().delete()
    alice.user.notifications.all().delete()
    page = alice.read("/notifications")
    assert 'name="upto" value="0"' in page


@pytest.mark.parametrize("upto", ["", "-1", "x", "9" * 40, "²"])
def test_a_malformed_number_marks_nothing_as_read(upto):
    alice = window()
    FollowFactory(followee=alice.user)
    deliver()
    before = Stream.objects.get(user=alice.user).unread
    shown(alice.send("/notifications/read", upto=upto))
    assert Stream.objects.get(user=alice.user).unread == before


def test_a_long_list_goes_on_by_a_link():
    alice = window()
    for _ in range(PAGE_SIZE + 1):
        FollowFactory(followee=alice.user)
    deliver()
    first = alice.get("/notifications").context["page"]
    second = alice.get(f"/notifications?cursor={first.next_cursor}").context["page"]
    shown_ids = [notice.pk for notice in (*first.items, *second.items)]
    assert len(first.items) == PAGE_SIZE
    assert set(shown_ids) == set(alice.user.notifications.shown().values_list("pk", flat=True))
    assert len(shown_ids) == len(set(shown_ids))
    alice.read("/notifications?cursor=nonsense", 404)


def test_notices_are_shown_to_their_user_alone():
    assert Window().get("/notifications").headers["Location"] == "/login?next=/notifications"
    alice = window()
    FollowFactory(followee=UserFactory(), follower__username="secret-admirer")
    deliver()
    assert "secret-admirer" not in alice.read("/notifications")


def test_a_page_without_notices_says_so():
    alice = window()
    Stream.objects.all().delete()
    assert "You have no notifications yet." in alice.read("/notifications")
