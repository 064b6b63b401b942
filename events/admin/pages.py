"""The admin of the event system: the log, what is owed, what became of it, and who works."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django_dramatiq.models import Task

from ..models import Attempt, DeadLetter, Delivery, OutboxMessage, Process, StoredEvent, Straggler, Subscription
from ..repair.announce import backlogs
from ..repair.dead_letters import discard, requeue
from .pool_bar import TOTALS, gauge, told

#: Dead letters decided upon at once that are entered one by one.
MOST_ENTRIES = 1_000

# Its task list would cost 14 statements a message, and renders what users wrote unescaped.
with suppress(NotRegistered):
    admin.site.unregister(Task)


def preformatted(text: object) -> SafeString:
    """Text as it stands, escaped."""
    return format_html('<pre style="white-space: pre-wrap; margin: 0">{}</pre>', text)


class ReadOnlyAdmin(admin.ModelAdmin):
    """What the system writes and people read."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(StoredEvent)
class StoredEventAdmin(ReadOnlyAdmin):
    """The log, and for each event what became of it at each subscriber."""

    list_display = ["sequence", "topic", "subject", "time", "event_id"]
    list_filter = ["topic"]
    search_fields = ["=event_id", "=subject", "=correlation_id", "=topic"]
    search_help_text = _("Search by event ID, subject (such as post/7), topic or correlation ID")
    ordering = ["-sequence"]
    exclude = ["data"]
    readonly_fields = ["payload", "deliveries", "owed", "caused"]

    @admin.display(description=_("payload"))
    def payload(self, event: StoredEvent) -> SafeString:
        return preformatted(json.dumps(event.data, indent=2, ensure_ascii=False))

    @admin.display(description=_("deliveries"))
    def deliveries(self, event: StoredEvent) -> SafeString:
        found = Delivery.objects.filter(event_id=event.event_id).order_by("id")
        return format_html_join(
            "",
            '<div><a href="{}">{}</a>: {} · {} · {}</div>',
            (
                (
                    reverse("admin:events_delivery_change", args=[one.pk]),
                    one.subscriber,
                    one.get_state_display(),
                    one.attempts,
                    one.at.isoformat(timespec="milliseconds"),
                )
                for one in found
            ),
        ) or preformatted(_("none yet"))

    @admin.display(description=_("in the outbox"))
    def owed(self, event: StoredEvent) -> str:
        rows = OutboxMessage.objects.filter(event=event)
        now = _("now")
        return ", ".join(f"{row.subscriber or '*'} ({row.due or now})" for row in rows) or "—"

    @admin.display(description=_("events it caused"))
    def caused(self, event: StoredEvent) -> SafeString:
        found = StoredEvent.objects.filter(correlation_id=event.correlation_id, causation_id=event.event_id)
        return format_html_join(
            "",
            '<div><a href="{}">{}</a></div>',
            ((reverse("admin:events_storedevent_change", args=[one.pk]), str(one)) for one in found[:50]),
        ) or SafeString("—")


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    """What is owed."""

    list_display = ["id", "event", "subscriber", "due", "attempt", "priority", "claimed"]
    list_select_related = ["event"]
    search_fields = ["=event__event_id", "subscriber"]


class AttemptInline(admin.TabularInline):
    """The failed runs of a delivery."""

    model = Attempt
    fields = ("number", "at", "duration", "error", "trace")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=_("traceback"))
    def trace(self, attempt: Attempt) -> SafeString:
        return preformatted(attempt.traceback)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """The inbox."""

    list_display = ["id", "event_id", "subscriber", "state", "attempts", "at", "reason"]
    list_filter = ["state"]
    search_fields = ["=event_id", "=subscriber"]
    search_help_text = _("Search by event ID or subscriber name")
    ordering = ["-id"]
    exclude = ["body"]
    readonly_fields = ["the_event", "bytes_received"]
    inlines = [AttemptInline]

    @admin.display(description=_("event"))
    def the_event(self, delivery: Delivery) -> SafeString | str:
        event = delivery.stored_event
        if event is None:
            return str(_("not in this log"))
        return format_html('<a href="{}">{}</a>', reverse("admin:events_storedevent_change", args=[event.pk]), event)

    @admin.display(description=_("bytes"))
    def bytes_received(self, delivery: Delivery) -> SafeString | str:
        return preformatted(bytes(delivery.body).decode(errors="backslashreplace")) if delivery.body else "—"


@admin.register(DeadLetter)
class DeadLetterAdmin(DeliveryAdmin):
    """What was given up; to be requeued or discarded."""

    list_filter = ["subscriber"]
    search_fields = ["=event_id", "=subscriber", "reason"]
    actions = ["requeue", "discard"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        return super().get_queryset(request).filter(state="dead")

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        """Whoever may change deliveries may decide about dead letters."""
        return request.user.has_perm("events.change_delivery")

    @admin.action(description=_("Requeue selected dead letters"), permissions=["requeue"])
    def requeue(self, request: HttpRequest, chosen: QuerySet[DeadLetter]) -> None:
        self.log_decision(request, chosen, gettext("Requeued."))
        count, kept = requeue(chosen)
        self.message_user(
            request, ngettext("%d dead letter requeued", "%d dead letters requeued", count) % count, messages.SUCCESS
        )
        if kept:
            self.message_user(
                request, _("Unreadable dead letters not requeued: %d. Discard them.") % kept, messages.WARNING
            )

    @admin.action(description=_("Discard selected dead letters"), permissions=["requeue"])
    def discard(self, request: HttpRequest, chosen: QuerySet[DeadLetter]) -> None:
        self.log_decision(request, chosen, gettext("Discarded."))
        count = discard(chosen)
        self.message_user(
            request, ngettext("%d dead letter discarded", "%d dead letters discarded", count) % count, messages.SUCCESS
        )

    def log_decision(self, request: HttpRequest, chosen: QuerySet[DeadLetter], message: str) -> None:
        """Who decided what about which: an entry for each; of more than a thousand, one for the newest says it."""
        count = chosen.count()
        if count > MOST_ENTRIES:
            chosen, message = chosen.order_by("-pk")[:1], f"{message} ({count})"
        LogEntry.objects.log_actions(request.user.pk, chosen.defer("body"), CHANGE, change_message=message)  # type: ignore[arg-type]


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Failed runs."""

    list_display = ["id", "delivery", "number", "at", "duration", "error"]
    list_select_related = ["delivery"]
    search_fields = ["error", "=delivery__event_id"]


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """Who listens to what, and how far each is behind."""

    list_display = ["name", "patterns", "behind", "retrying", "dead", "seen_at"]
    ordering = ["name"]

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist = super().get_changelist_instance(request)
        found = {one.name: one for one in backlogs()}
        for subscription in changelist.result_list:
            subscription.backlog = found[subscription.name]
        return changelist

    @admin.display(description=_("events behind"))
    def behind(self, subscription: Any) -> int:
        return subscription.backlog.behind

    @admin.display(description=_("retrying"))
    def retrying(self, subscription: Any) -> int:
        return subscription.backlog.retrying

    @admin.display(description=_("dead letters"))
    def dead(self, subscription: Any) -> int:
        return subscription.backlog.dead


@admin.register(Straggler)
class StragglerAdmin(ReadOnlyAdmin):
    """What others have overtaken, and how often it was healed."""

    list_display = ["event_id", "subscriber", "run", "owed_at", "checked_at", "healed"]
    search_fields = ["=event_id", "=subscriber"]
    ordering = ["-id"]


@admin.register(Process)
class ProcessAdmin(ReadOnlyAdmin):
    """Workers and relays: whether they live, and the figures of their last heartbeat. Its pages refresh themselves."""

    list_display = ["name", "state", "relay", "pool", "beat_at"]
    ordering = ["-beat_at"]
    fields = ["kind", "host", "pid", "state", "relay", "pool", "totals", "started_at", "beat_at"]
    readonly_fields = ["state", "relay", "pool", "totals"]

    #: Seconds; as often as processes write.
    REFRESH = 5

    class Media:
        css = {"all": ["events/gauge.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Process]:
        return Process.objects.with_silence().order_by(*self.ordering)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return self._fresh(super().changelist_view(request, extra_context))

    def change_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._fresh(super().change_view(*args, **kwargs))

    def _fresh(self, response: HttpResponse) -> HttpResponse:
        if response.status_code == 200:
            response["Refresh"] = str(self.REFRESH)
        return response

    @admin.display(description=_("process"))
    def name(self, process: Process) -> str:
        return str(process)

    @admin.display(description=_("state"))
    def state(self, process: Any) -> SafeString:
        if not process.silent:
            return format_html('<span class="state">{}</span>', _("alive"))
        since = date_format(localtime(process.beat_at), "Y-m-d H:i:s")
        return format_html('<span class="state silent">{}</span>', _("no heartbeat since %s") % since)

    @admin.display(description=_("relay"))
    def relay(self, process: Any) -> str:
        if process.silent or "relay_active" not in process.figures:
            return "—"
        return str(_("active") if process.figures["relay_active"] else _("standby"))

    @admin.display(description=_("task pool"))
    def pool(self, process: Any) -> SafeString:
        figures = process.figures.get("pool", {})
        silent = " silent" if process.silent else ""
        return format_html('<div class="pool{}">{}{}</div>', silent, gauge(figures), told(figures))

    @admin.display(description=_("since start"))
    def totals(self, process: Process) -> SafeString:
        return told(process.figures.get("pool", {}), TOTALS)
