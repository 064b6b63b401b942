"""Chores: what has expired is deleted, about once an hour."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from events.bus import chore
from events.db import committed
from feeds.counts.counting import clear_history
from feeds.models import ApiToken, SentForm
from feeds.sessions.store import SessionStore

#: How long a token that expired is still listed for its user.
LISTED = dt.timedelta(days=30)
#: Rows in one transaction.
AT_ONCE = 1_000


@chore
def clear_sessions() -> None:
    """Delete expired sessions, with what was known of their browsers and what waited in them."""
    SessionStore.clear_expired()


@chore
def delete_expired_tokens() -> None:
    """Delete tokens that expired more than LISTED ago."""
    ApiToken.objects.filter(expires_at__lt=timezone.now() - LISTED).delete()


@chore
def clear_count_history() -> None:
    """Delete counts of before a change by which no list is read any more. Each count takes some along; where nobody
    votes the last ones wait for this."""
    while True:
        with committed():
            if not clear_history(AT_ONCE):
                return


@chore
def forget_sent_forms() -> None:
    """Delete forms that are no longer recognised. Each new one takes some along; the last ones wait for this."""
    while True:
        with committed():
            if not SentForm.objects.forget(AT_ONCE):
                return
