"""Chores of feeds: what has expired goes, and nothing else."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from events.chores import Timetable
from feeds import actions
from feeds.models import ApiToken, EarlierCounts, SentForm, UserSession
from feeds.sessions import store
from tests.support.factories import UserFactory

pytestmark = pytest.mark.django_db


def ago(**time: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(**time)


def test_expired_sessions_go_with_what_is_known_of_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "AT_ONCE", 2)
    user, clients = UserFactory(), [Client() for _ in range(6)]
    for client in clients:
        client.force_login(user)
    kept = clients[0].session.session_key
    Session.objects.exclude(session_key=kept).update(expire_date=ago(seconds=1))
    Timetable().do_due()
    assert Session.objects.get().session_key == UserSession.objects.get().session_key == kept


def test_a_token_goes_thirty_days_after_it_expired() -> None:
    user = UserFactory()
    lasting, live, expired, old = (actions.create_token(user, name=f"{number}")[0] for number in range(4))
    for token, time in ((live, ago(days=-1)), (expired, ago(days=29)), (old, ago(days=31))):
        ApiToken.objects.filter(pk=token.pk).update(expires_at=time)
    Timetable().do_due()
    assert set(ApiToken.objects.all()) == {lasting, live, expired}


def test_a_sent_form_goes_after_a_day() -> None:
    user = UserFactory()
    for number, hours in enumerate((1, 23, 25, 100)):
        SentForm.objects.create(user=user, key=str(number), digest="", sent_at=ago(hours=hours))
    Timetable().do_due()
    assert set(SentForm.objects.values_list("key", flat=True)) == {"0", "1"}


def test_counts_of_before_a_change_go_when_no_list_is_read_by_them() -> None:
    for number, hours in enumerate((1, 24, 26, 100)):
        row = EarlierCounts.objects.create(
            entity_type="post", entity_id=number, upvotes=0, downvotes=0, score=0, hot=0, controversy=0
        )
        EarlierCounts.objects.filter(pk=row.pk).update(changed_at=ago(hours=hours))
    Timetable().do_due()
    assert set(EarlierCounts.objects.values_list("entity_id", flat=True)) == {0, 1}
