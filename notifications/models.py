"""What notifications remembers: a stream per user, and the notices in it.

The stream is the truth of live push. Its `seq` grows by one with every change to one of the user's notices, under the
stream's row lock, so that commit order is number order; a notice that grows, shrinks or is withdrawn takes a new
number, so that a hole is no loss. Only `notifications.notices` writes here.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class StreamQuerySet(models.QuerySet["Stream"]):
    """Streams."""

    def hold(self, user_ids: Iterable[int]) -> dict[int, Stream]:
        """The streams of these users, created where missing, locked until the transaction ends.

        Locks are taken in the order of the ids, so that two who hold many cannot wait for each other.
        """
        ids = sorted(set(user_ids))
        missing = set(ids).difference(self.filter(user_id__in=ids).values_list("user_id", flat=True))
        if missing:
            self.bulk_create([Stream(user_id=user_id) for user_id in sorted(missing)], ignore_conflicts=True)
        rows = self.filter(user_id__in=ids).order_by("user_id").select_for_update(no_key=True)
        return {stream.user_id: stream for stream in rows}

    def advance(self, steps: Mapping[int, tuple[int, int]]) -> None:
        """Add to seq and unread of each user what `steps` says; one statement per distinct step."""
        users: dict[tuple[int, int], list[int]] = defaultdict(list)
        for user_id, step in steps.items():
            users[step].append(user_id)
        for (seq, unread), ids in users.items():
            self.filter(user_id__in=ids).update(seq=models.F("seq") + seq, unread=models.F("unread") + unread)


class Stream(models.Model):
    """Where a user's notices stand: the last number, how many are unread, and up to which number they were read.

    `epoch` names this history. It is renewed when a backup is restored, so that clients that know more start afresh.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="stream", verbose_name=_("user")
    )
    seq = models.BigIntegerField(_("last number"), default=0)
    unread = models.PositiveIntegerField(_("unread"), default=0)
    read_upto = models.BigIntegerField(_("read up to"), default=0)
    epoch = models.UUIDField(_("epoch"), default=uuid.uuid4)

    objects = StreamQuerySet.as_manager()

    class Meta:
        verbose_name = _("stream")
        verbose_name_plural = _("streams")

    def __str__(self) -> str:
        return f"{self.user_id}: {self.seq}"


class NotificationQuerySet(models.QuerySet["Notification"]):
    """Notices."""

    def shown(self) -> NotificationQuerySet:
        """Those that were not withdrawn."""
        return self.filter(withdrawn_at=None)

    def unread(self) -> NotificationQuerySet:
        """Those that wait to be read."""
        return self.filter(read_at=None, withdrawn_at=None)

    def changed(self, user_id: int, *, after: int, upto: int) -> NotificationQuerySet:
        """What happened to a user's notices between two numbers, in order, the withdrawn too."""
        return self.filter(user_id=user_id, seq__gt=after, seq__lte=upto).order_by("seq")


class Notification(models.Model):
    """A notice to one user. `group_key` says what it is about: one notice per user and key, which may grow."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="notifications",
        db_index=False,
        verbose_name=_("user"),
    )
    seq = models.BigIntegerField(_("number"))
    kind = models.CharField(_("kind"), max_length=20)
    group_key = models.CharField(_("about"), max_length=100)
    data = models.JSONField(_("data"), default=dict)
    post_id = models.BigIntegerField(_("post"), null=True, help_text=_("Withdrawn with it."))
    comment_id = models.BigIntegerField(_("comment"), null=True, help_text=_("Withdrawn with it."))
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("changed"), default=timezone.now)
    read_at = models.DateTimeField(_("read"), null=True)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.UniqueConstraint(fields=["user", "seq"], name="notifications_number_once"),
            models.UniqueConstraint(fields=["user", "group_key"], name="notifications_about_once"),
        ]
        indexes = [
            models.Index(
                fields=["user", "seq"],
                condition=models.Q(read_at=None, withdrawn_at=None),
                name="notifications_unread",
            ),
            models.Index(
                fields=["post_id", "user"],
                condition=models.Q(post_id__isnull=False, withdrawn_at=None),
                name="notifications_of_post",
            ),
            models.Index(
                fields=["comment_id", "user"],
                condition=models.Q(comment_id__isnull=False, withdrawn_at=None),
                name="notifications_of_comment",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}/{self.seq} {self.kind}"

    @property
    def read(self) -> bool:
        """Whether it was read."""
        return self.read_at is not None

    @property
    def is_unread(self) -> bool:
        """Whether it waits to be read."""
        return self.read_at is None and self.withdrawn_at is None
