"""Store: Django's sessions in the database, whose rows in the list of the user come and go with them.

Table, cookie and contents are those of `django.contrib.sessions.backends.db`: each reads what the other wrote.
"""

from __future__ import annotations

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from events.db import committed
from feeds.models import UserSession

#: Expired sessions that are deleted in one transaction.
AT_ONCE = 1_000


# Django signs the contents with the name of the class, so that it must be the same.
class SessionStore(DatabaseStore):
    """A session. A new key keeps its row in the list; deleting the session, or clearing expired ones, removes it."""

    def cycle_key(self) -> None:
        """Go on under a new key, with the same contents."""
        contents, old_key = self._session, self.session_key  # type: ignore[attr-defined] # the stubs leave it out
        with committed():
            self.create()
            self._session_cache = contents
            if old_key:
                UserSession.objects.filter(session_key=old_key).update(session_key=self.session_key)
                self.delete(old_key)

    def delete(self, session_key: str | None = None) -> None:
        """Delete a session, by default this one."""
        key = session_key or self.session_key
        with committed():
            super().delete(session_key)
            UserSession.objects.filter(session_key=key).delete()

    @classmethod
    def clear_expired(cls) -> None:
        """Delete all expired sessions, as `manage.py clearsessions` does, AT_ONCE in a transaction."""
        sessions = cls.get_model_class().objects.filter(expire_date__lt=timezone.now())
        while sessions.filter(pk__in=list(sessions.values_list("pk", flat=True)[:AT_ONCE])).delete()[0]:
            pass
        UserSession.objects.dead().delete()
