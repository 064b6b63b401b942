"""Pages: the event log, the outbox, the inbox, dead letters, subscriptions, the watchlist, the processes, the terms of
the relay and the installation."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.contrib.auth import get_permission_codename
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django_dramatiq.admin import Task

from ..inbox.models import Attempt, AttemptSubject, DeadLetter, Delivery, StaleEvent
from ..outbox.models import LogFloor, OutboxMessage, StoredEvent
from ..relay.models import RelayTerm
from ..repair.dead_letters import discard, requeue
from ..repair.models import Straggler
from ..worker.models import FoldedCounts, Installation, Process
from .pool_bar import TOTALS, figures, pool_bar

#: Up to 1,000 dead letters of one action get an entry of their own in the admin's log.
MAX_LOG_ENTRIES = 1_000

# Its task list would take 14 statements per message, and shows texts of users unescaped.
with suppress(NotRegistered):
    admin.site.unregister(Task)


def preformatted(text: object) -> SafeString:
    """Escaped text with its line breaks."""
    return format_html('<pre style="white-space: pre-wrap; margin: 0">{}</pre>', text)


def change_url(row: Model) -> str:
    """The admin page of a row."""
    return reverse(admin_urlname(row._meta, "change"), args=[row.pk])  # type: ignore[arg-type]


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that the system writes and people only read."""

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
    """The log, with the deliveries of each event."""

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
                    change_url(one),
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
            ((change_url(one), str(one)) for one in found[:50]),
        ) or SafeString("—")


@admin.register(LogFloor)
class LogFloorAdmin(ReadOnlyAdmin):
    """From where on each topic is kept."""

    list_display = ["topic", "sequence", "time"]
    ordering = ["topic"]


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    """The outbox."""

    list_display = ["id", "event", "subscriber", "due", "attempt", "priority", "claimed"]
    list_select_related = ["event"]
    search_fields = ["=event__event_id", "subscriber"]


class AttemptInline(admin.TabularInline):  # type: ignore[type-arg]
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
        return format_html('<a href="{}">{}</a>', change_url(event), event)

    @admin.display(description=_("bytes"))
    def bytes_received(self, delivery: Delivery) -> SafeString | str:
        return preformatted(bytes(delivery.body).decode(errors="backslashreplace")) if delivery.body else "—"


@admin.register(DeadLetter)
class DeadLetterAdmin(DeliveryAdmin):
    """Dead letters, to be requeued or discarded."""

    list_filter = ["subscriber"]
    search_fields = ["=event_id", "=subscriber", "reason"]
    actions = ["requeue", "discard"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        return super().get_queryset(request).filter(state="dead")

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        """Who may change deliveries may requeue and discard dead letters."""
        options = Delivery._meta
        return request.user.has_perm(f"{options.app_label}.{get_permission_codename('change', options)}")

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
        """Who decided what: an entry per dead letter; above MAX_LOG_ENTRIES one entry for all, at the newest."""
        count = chosen.count()
        if count > MAX_LOG_ENTRIES:
            chosen, message = chosen.order_by("-pk")[:1], f"{message} ({count})"
        LogEntry.objects.log_actions(request.user.pk, chosen.defer("body"), CHANGE, change_message=message)  # type: ignore[arg-type]


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Failed runs."""

    list_display = ["id", "delivery", "number", "at", "duration", "error"]
    list_select_related = ["delivery"]
    search_fields = ["error", "=delivery__event_id"]


@admin.register(AttemptSubject)
class AttemptSubjectAdmin(ReadOnlyAdmin):
    """What a failed attempt may quote: it is erased with one of these."""

    list_display = ["subject", "attempt"]
    list_select_related = ["attempt__delivery"]
    search_fields = ["=subject"]


@admin.register(Straggler)
class StragglerAdmin(ReadOnlyAdmin):
    """The watchlist of reconcile, and how often each delivery was healed."""

    list_display = ["event_id", "subscriber", "run", "owed_at", "checked_at", "healed"]
    search_fields = ["=event_id", "=subscriber"]
    ordering = ["-id"]


@admin.register(StaleEvent)
class StaleEventAdmin(ReadOnlyAdmin):
    """Redacted events whose earlier bytes may still wait in a queue."""

    list_display = ["event_id", "topic", "at"]
    search_fields = ["=event_id", "=topic"]
    ordering = ["-id"]


@admin.register(RelayTerm)
class RelayTermAdmin(ReadOnlyAdmin):
    """Which relay was active, and when. The highest number is the term that counts."""

    list_display = ["number", "holder", "started_at", "expires_at"]
    ordering = ["-number"]
    search_fields = ["holder"]


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin):
    """The identity that the broker is marked with."""

    list_display = ["installation_id"]
    search_fields = ["=installation_id"]


@admin.register(FoldedCounts)
class FoldedCountsAdmin(ReadOnlyAdmin):
    list_display = ("key", "__str__")


@admin.register(Process)
class ProcessAdmin(ReadOnlyAdmin):
    """Workers and relays: whether they are alive, and the figures of their last heartbeat. The pages reload by
    themselves."""

    list_display = ["name", "state", "relay", "busy", "pool", "beat_at"]
    #: The same at each reload: workers, web, relays.
    ordering = ["-kind", "host", "pid"]
    fields = ["kind", "host", "pid", "state", "relay", "busy", "runs", "pool", "totals", "started_at", "beat_at"]
    readonly_fields = ["state", "relay", "busy", "runs", "pool", "totals"]

    #: Seconds between two reloads, the same as between two heartbeats.
    REFRESH = 5

    class Media:
        css = {"all": ["events/gauge.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Process]:
        return Process.objects.with_silence().order_by(*self.ordering)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return self._reloading(super().changelist_view(request, extra_context))

    def change_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._reloading(super().change_view(*args, **kwargs))

    def _reloading(self, response: HttpResponse) -> HttpResponse:
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

    @admin.display(description=_("busy threads"))
    def busy(self, process: Process) -> str:
        busy, threads = process.figures.get("busy"), process.figures.get("threads")
        return str(_("%(busy)s of %(threads)s") % {"busy": busy, "threads": threads}) if threads else "—"

    @admin.display(description=_("runs at the moment"))
    def runs(self, process: Process) -> SafeString:
        rows = ((run["subscriber"], run["since"]) for run in process.figures.get("runs", ()))
        return format_html_join("", "<div>{} · {}</div>", rows) or SafeString("—")

    @admin.display(description=_("task pool"))
    def pool(self, process: Any) -> SafeString:
        pool = process.figures.get("pool", {})
        silent = " silent" if process.silent else ""
        return format_html('<div class="pool{}">{}{}</div>', silent, pool_bar(pool), figures(pool))

    @admin.display(description=_("since start"))
    def totals(self, process: Process) -> SafeString:
        return figures(process.figures.get("pool", {}), TOTALS)
