"""Signed in: whose sessions these are, read for many at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string

from feeds.models import User


class Visitor(NamedTuple):
    """Who uses a session. user_id: None if nobody is signed in. banned: the session is that of a banned user."""

    user_id: int | None = None
    banned: bool = False


def visitors(session_keys: Collection[str]) -> dict[str, Visitor]:
    """The visitor of each of these sessions, by its key. As `django.contrib.auth.get_user`, but nothing is written."""
    sessions = {key: contents for key, contents in _contents(session_keys).items() if SESSION_KEY in contents}
    users = User.objects.only("pk", "password", "is_active").in_bulk(
        {User._meta.pk.to_python(contents[SESSION_KEY]) for contents in sessions.values()}
    )
    found = dict.fromkeys(session_keys, Visitor())
    for key, contents in sessions.items():
        user = users.get(User._meta.pk.to_python(contents[SESSION_KEY]))
        if user is not None and not user.is_active:
            found[key] = Visitor(banned=True)
        elif user is not None and _is_of(contents, user):
            found[key] = Visitor(user.pk)
    return found


def _contents(session_keys: Collection[str]) -> dict[str, Mapping[str, Any]]:
    store: Any = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    if not issubclass(store, DatabaseStore):
        return {key: store(key).load() for key in session_keys}
    rows = store.get_model_class().objects.filter(session_key__in=session_keys, expire_date__gt=timezone.now())
    decode = store().decode
    return {key: decode(data) for key, data in rows.values_list("session_key", "session_data")}


def _is_of(contents: Mapping[str, Any], user: User) -> bool:
    """Whether the session was begun with the user's password of today, by a backend that still counts."""
    given = contents.get(HASH_SESSION_KEY, "")
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    known = contents.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
    return known and any(constant_time_compare(given, one) for one in hashes)
