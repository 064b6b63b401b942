"""Demo: the data is loaded once, with all its events."""

import pytest
from django.core.management import CommandError, call_command

from events.models import StoredEvent
from events.testing import deliver
from feeds.demo.load import PASSWORD, load_demo, people
from feeds.models import Circle, Comment, Follow, Membership, Post, User, Vote
from notifications.models import Notification
from tests.support import agreement
from tests.support.factories import UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.home]

MODELS = (User, Circle, Post, Comment, Vote, Follow, StoredEvent)


@pytest.fixture(autouse=True)
def _at_home(settings):
    settings.DEBUG = True


def sizes():
    return [model.objects.count() for model in MODELS]


def kinds_told(name):
    """The notices of a user of the demo."""
    return set(Notification.objects.shown().filter(user__username=name).values_list("kind", flat=True))


def test_the_demo_shows_people_circles_posts_and_threads(capsys):
    call_command("demo")
    printed = capsys.readouterr().out
    for name in people():
        assert name in printed
        assert User.objects.get(username=name).check_password(PASSWORD)
    assert PASSWORD in printed
    assert User.objects.get(username="admin").is_superuser
    assert Circle.objects.count() == 4
    assert Post.objects.visible().count() >= 14
    assert Post.objects.drafts_of(User.objects.get(username="alice")).exists()
    assert Comment.objects.filter(parent__parent__isnull=False).exists()


def test_the_demo_is_loaded_once(capsys):
    call_command("demo")
    before = sizes()
    Post.objects.first().delete()
    call_command("demo")
    assert sizes()[:-1] == before[:-1]
    assert PASSWORD in capsys.readouterr().out


def test_everything_in_the_demo_has_its_events_and_the_recent_is_news():
    load_demo()
    deliver()
    assert [*agreement.everything(), *agreement.feeds()] == []
    assert {"comment", "vote", "mention", "follow", "circle", "post"} <= kinds_told("alice")
    assert {"welcome", "reply", "comment", "vote"} <= kinds_told("mika")
    assert "mention" in kinds_told("chen")
    assert "welcome" not in kinds_told("bob")


def test_nothing_in_the_demo_happens_before_what_it_is_about():
    load_demo()
    for comment in Comment.objects.select_related("post", "parent", "author"):
        assert comment.created_at >= comment.post.created_at
        assert comment.created_at >= comment.author.date_joined
        assert comment.parent is None or comment.created_at >= comment.parent.created_at
        assert comment.updated_at == comment.created_at
    for post in Post.objects.visible().select_related("author"):
        assert post.created_at == post.published_at == post.updated_at
        assert post.created_at >= post.author.date_joined
    for dated in (*Vote.objects.select_related("user"), *Membership.objects.select_related("user")):
        assert dated.created_at >= dated.user.date_joined
    published = list(Post.objects.visible().order_by("pk").values_list("published_at", flat=True))
    assert published == sorted(published)


def test_where_the_names_are_taken_the_demo_stays_away(capsys):
    UserFactory(username="Alice")
    call_command("demo")
    assert "these usernames are already taken: Alice" in capsys.readouterr().out
    assert User.objects.count() == 1


def test_the_demo_with_its_public_password_is_for_home_only(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG=on"):
        call_command("demo")
    assert not User.objects.exists()
