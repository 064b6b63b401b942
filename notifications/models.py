"""Models: a stream per user, and the notices in it.

Every change to one of a user's notices adds one to the stream's `seq`, under the stream's row lock, so that numbers
are in commit order. A changed or withdrawn notice takes the new number and gives up its old one, so a missing number
is no lost notice. Only `notifications.notices` writes these tables.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import reduce
from operator import or_

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from feeds.models import Post


class StreamQuerySet(models.QuerySet["Stream"]):
    """Streams."""

    def lock(self, user_ids: Iterable[int]) -> dict[int, Stream]:
        """The streams of these users by user id, created where missing, locked until the transaction ends.

        Locks are taken in the order of the user ids, so that no deadlock arises.
        """
        ids = set(user_ids)
        self.add_missing(ids)
        rows = self.filter(user_id__in=ids).order_by("user_id").select_for_update(no_key=True)
        return {stream.user_id: stream for stream in rows}

    def add_missing(self, user_ids: Collection[int]) -> None:
        """Create the streams that these users do not have yet, in the order of the user ids."""
        missing = set(user_ids).difference(self.filter(user_id__in=user_ids).values_list("user_id", flat=True))
        if missing:
            self.bulk_create([Stream(user_id=user_id) for user_id in sorted(missing)], ignore_conflicts=True)

    def advance(self, steps: Mapping[int, tuple[int, int]]) -> None:
        """Add to seq and unread; `steps` has these two numbers by user id. One statement per distinct step."""
        users: dict[tuple[int, int], list[int]] = defaultdict(list)
        for user_id, step in steps.items():
            users[step].append(user_id)
        for (seq, unread), ids in users.items():
            self.filter(user_id__in=ids).update(seq=models.F("seq") + seq, unread=models.F("unread") + unread)


class Stream(models.Model):
    """The state of a user's notices.

    seq: the last number given. unread: the number of unread notices. read_upto: the number up to which all were read.
    reads: how often notices were marked read.
    epoch: the id of this history; a new one is set after a backup was restored, so that clients with later numbers
    reload.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="stream", verbose_name=_("user")
    )
    seq = models.BigIntegerField(_("last number"), default=0)
    unread = models.PositiveIntegerField(_("unread"), default=0)
    read_upto = models.BigIntegerField(_("read up to"), default=0)
    reads = models.BigIntegerField(_("times read"), default=0, db_default=0)
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
        """Those that are not withdrawn."""
        return self.filter(withdrawn_at=None)

    def unread(self) -> NotificationQuerySet:
        """Those that are neither read nor withdrawn."""
        return self.filter(read_at=None, withdrawn_at=None)

    def below(self, person_id: int) -> NotificationQuerySet:
        """Those that lead to a post of this person."""
        return self.filter(post_id__in=Post.objects.of(person_id).values("pk"))

    def of_person(self, person_id: int) -> NotificationQuerySet:
        """Those of what this person alone did."""
        return self.filter(data__actors__0=person_id, data__count=1)

    def changed(self, ranges: Iterable[tuple[int, int, int]]) -> NotificationQuerySet:
        """The users' notices changed after one number and up to another, inclusive, withdrawn ones too. A range is a
        user id and these two numbers."""
        wanted = (models.Q(user_id=user_id, seq__gt=after, seq__lte=upto) for user_id, after, upto in ranges)
        return self.filter(reduce(or_, wanted, models.Q(pk__in=())))


class Notification(models.Model):
    """A notice to one user. group_key: its subject; a user has one notice per subject.

    text, link: set by `notices.listing` on the rows it returns.
    """

    text: str
    link: str

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
        """Whether it was read, be it withdrawn or not."""
        return self.read_at is not None

    @property
    def is_unread(self) -> bool:
        """Whether it is neither read nor withdrawn."""
        return self.read_at is None and self.withdrawn_at is None
