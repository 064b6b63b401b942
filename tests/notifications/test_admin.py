"""Notices and streams in the admin."""

import pytest
from django.test import Client

from events.testing import deliver
from feeds.models import User
from notifications.models import Notification, Stream
from tests.support.factories import VoteFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_notices_and_streams_are_shown(admin):
    VoteFactory()
    deliver()
    for model in (Notification, Stream):
        path = f"/admin/notifications/{model._meta.model_name}/"
        listed = admin.get(path, {"q": "USER"})
        assert listed.status_code == 200
        assert admin.get(f"{path}{model.objects.first().pk}/change/").status_code == 200
        assert admin.get(f"{path}add/").status_code == 403
    assert "upvoted" in admin.get("/admin/notifications/notification/").content.decode()


def test_deleting_a_notice_withdraws_it(admin):
    VoteFactory()
    deliver()
    notice = Notification.objects.get(kind="vote")
    admin.post(
        "/admin/notifications/notification/",
        {"action": "delete_selected", "_selected_action": [notice.pk], "post": "yes"},
    )
    admin.post(f"/admin/notifications/notification/{Notification.objects.first().pk}/delete/", {"post": "yes"})
    notice.refresh_from_db()
    assert notice.withdrawn_at is not None
    assert Notification.objects.filter(withdrawn_at__isnull=False).count() == 2
    assert Stream.objects.get(user=notice.user).unread == Notification.objects.unread().filter(user=notice.user).count()


def test_the_action_starts_a_new_epoch(admin):
    VoteFactory()
    deliver()
    before = set(Stream.objects.values_list("epoch", flat=True))
    chosen = list(Stream.objects.values_list("pk", flat=True))
    admin.post("/admin/notifications/stream/", {"action": "begin_anew", "_selected_action": chosen})
    assert not before & set(Stream.objects.values_list("epoch", flat=True))
