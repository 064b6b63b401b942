"""The notices of a user."""

from feeds.models import User
from notifications.models import Notification


def kinds_of(user: User, *but: str) -> list[str]:
    """The kinds of a user's notices in order, without those named (the welcome by default)."""
    notices = Notification.objects.shown().filter(user=user).exclude(kind__in=but or ("welcome",))
    return list(notices.order_by("seq").values_list("kind", flat=True))


def notice_of(user: User, kind: str) -> Notification:
    """The one notice of a kind that a user is shown."""
    return Notification.objects.shown().get(user=user, kind=kind)
