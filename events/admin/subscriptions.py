"""The admin's page of subscriptions: how far each is behind, and what operators say of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_permission_codename
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..repair.backlog import Backlog, backlogs
from ..repair.controls import pause, resume
from ..repair.models import Subscription
from .pages import ReadOnlyAdmin


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """Who listens to what, and how far each is behind."""

    list_display = ["name", "patterns", "behind", "oldest", "retrying", "dead", "paused", "concurrency", "seen_at"]
    ordering = ["name"]
    actions = ["pause", "resume"]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may change subscriptions may pause and resume them."""
        options = Subscription._meta
        return request.user.has_perm(f"{options.app_label}.{get_permission_codename('change', options)}")

    @admin.action(description=_("Pause selected subscriptions"), permissions=["operate"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        for row in chosen.order_by("name"):
            pause(row.name, by=str(request.user))
            self._log(request, row, "Paused.")
        self.message_user(
            request, _("Paused: each worker stops handing out within 5 seconds, and ends what runs."), messages.SUCCESS
        )

    @admin.action(description=_("Resume selected subscriptions"), permissions=["operate"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        resumed = [row for row in chosen.order_by("name") if resume(row.name, by=str(request.user))]
        for row in resumed:
            self._log(request, row, "Resumed.")
        self.message_user(
            request,
            ngettext("%d subscription resumed", "%d subscriptions resumed", len(resumed)) % len(resumed),
            messages.SUCCESS,
        )

    @staticmethod
    def _log(request: HttpRequest, row: Subscription, message: str) -> None:
        LogEntry.objects.log_actions(str(request.user.pk), [row], CHANGE, message, single_object=True)

    @admin.display(description=_("paused"))
    def paused(self, subscription: Subscription) -> str:
        if subscription.paused_at is None:
            return "—"
        said = f"{localtime(subscription.paused_at):%Y-%m-%d %H:%M:%S %Z}, {subscription.paused_by}"
        return f"{said}: {subscription.pause_reason}" if subscription.pause_reason else said

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist = super().get_changelist_instance(request)
        found = {one.name: one for one in backlogs()}
        changelist.result_list = [row for row in changelist.result_list if row.name in found]
        for subscription in changelist.result_list:
            subscription.backlog = found[subscription.name]
        return changelist

    @admin.display(description=_("events behind"))
    def behind(self, subscription: Any) -> str:
        backlog: Backlog = subscription.backlog
        if backlog.is_exact:
            return f"{backlog.behind:,}"
        return gettext("> %(behind)s (about %(estimate)s)") % {
            "behind": f"{backlog.behind:,}",
            "estimate": f"{backlog.estimate:,}",
        }

    @admin.display(description=_("age of the oldest"))
    def oldest(self, subscription: Any) -> str | None:
        """How long the oldest of these events has been waiting."""
        age: float | None = subscription.backlog.oldest_age
        if age is None:
            return None
        if age < 60:
            return ngettext("%d second", "%d seconds", int(age)) % int(age)
        return timesince(timezone.now() - dt.timedelta(seconds=age))

    @admin.display(description=_("retrying"))
    def retrying(self, subscription: Any) -> int:
        return int(subscription.backlog.retrying)

    @admin.display(description=_("dead letters"))
    def dead(self, subscription: Any) -> int:
        return int(subscription.backlog.dead)
