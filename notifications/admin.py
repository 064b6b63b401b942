"""Admin: shows notices and streams; withdraws a notice, starts a new epoch of a stream."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from notifications.models import Notification, Stream
from notifications.notices import wording
from notifications.notices.notices import withdraw_rows


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that only subscribers write: nothing is added or changed here."""

    show_full_result_count = False
    list_select_related = ("user",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """Notices. Deleting one withdraws it, so that it also goes from open pages."""

    list_display = ("user", "seq", "kind", "text", "updated_at", "read_at", "withdrawn_at")
    list_filter = ("kind", ("read_at", admin.EmptyFieldListFilter), ("withdrawn_at", admin.EmptyFieldListFilter))
    search_fields = ("user__username_folded", "group_key")
    ordering = ("-id",)

    @admin.display(description=_("text"))
    def text(self, notice: Notification) -> str:
        """What the user reads."""
        return wording.text(notice.kind, notice.data)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        """Search usernames by their folded form."""
        return super().get_search_results(request, queryset, search_term.casefold())

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:
        """No other rows are deleted with a notice: it is only withdrawn."""
        names = [str(one) for one in objs]
        refused = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return names, {self.opts.verbose_name_plural: len(names)}, refused, []

    def delete_model(self, request: HttpRequest, obj: Notification) -> None:
        withdraw_rows([obj.pk])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        withdraw_rows(queryset.values_list("pk", flat=True))


@admin.register(Stream)
class StreamAdmin(ReadOnlyAdmin):
    """Streams. They cannot be deleted."""

    list_display = ("user", "seq", "unread", "read_upto", "epoch")
    search_fields = ("user__username_folded",)
    ordering = ("-user_id",)
    actions = ("begin_anew",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description=_("Start a new epoch (after restoring a backup)"), permissions=["renew"])
    def begin_anew(self, request: HttpRequest, queryset: QuerySet[Stream]) -> None:
        """Clients with later numbers than the restored stream reload."""
        queryset.update(epoch=uuid.uuid4())

    def has_renew_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)
