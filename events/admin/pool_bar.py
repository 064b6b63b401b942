"""Pool bar: the slots of a task pool drawn as a bar, with the figures beside it."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

#: The figures beside the bar, in this order.
FIGURES = (
    gettext_noop("running"),
    gettext_noop("free"),
    gettext_noop("waiting"),
    gettext_noop("capacity"),
    gettext_noop("threads"),
)
#: The other figures of PoolStats: outcomes of tasks since the process began.
TOTALS = (
    gettext_noop("submitted"),
    gettext_noop("completed"),
    gettext_noop("failed"),
    gettext_noop("cancelled"),
    gettext_noop("rejected"),
)
#: Width of the bar, and the greatest width of the line of waiting tasks, in units of the SVG.
BAR_WIDTH, QUEUE_WIDTH = 160, 60
#: The least width of something that is not zero, so that it is visible.
LEAST_WIDTH = 3
#: Up to 20 slots are drawn one by one.
MAX_SINGLE_SLOTS = 20


def pool_bar(pool: Mapping[str, int]) -> SafeString:
    """A bar, filled as far as slots are taken; a striped line after it for the tasks that wait."""
    if not pool.get("capacity"):
        return SafeString("—")
    running, capacity, waiting = (pool.get(name, 0) for name in ("running", "capacity", "waiting"))
    said = _("%(running)s of %(capacity)s slots in use") % {"running": number(running), "capacity": number(capacity)}
    if waiting:
        said += ", " + ngettext("%s waiting", "%s waiting", waiting) % number(waiting)
    return format_html(
        '<div class="gauge{}"><svg role="img" aria-label="{}" viewBox="0 0 {} 16" width="{}" height="16">'
        '<title>{}</title><rect class="slots" x="0.5" y="1.5" width="{}" height="13"/>{}{}{}</svg> <b>{}</b> {}</div>',
        " full" if running >= capacity else "",
        said,
        BAR_WIDTH + QUEUE_WIDTH + 6,
        BAR_WIDTH + QUEUE_WIDTH + 6,
        said,
        BAR_WIDTH,
        format_html('<rect class="taken" x="0.5" y="1.5" width="{}" height="13"/>', taken_width(running, capacity)),
        _between_slots(running, capacity),
        _queue(waiting, capacity),
        share(running, capacity),
        _("full") if running >= capacity else "",
    )


def figures(pool: Mapping[str, int], names: tuple[str, ...] = FIGURES) -> SafeString:
    """Figures with their names."""
    pairs = ((_(name), number(pool[name])) for name in names if name in pool)
    return format_html_join("", '<span class="figure">{} <b>{}</b></span> ', pairs)


def share(part: int, whole: int) -> str:
    """A percentage: "0%" for nothing only, "100%" for all only."""
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "<1%"
    if 99 < percent < 100:
        return ">99%"
    return f"{round(percent)}%"


def taken_width(running: int, capacity: int) -> float:
    """Width of the filled part: visible for one slot in 10,000, and the whole bar only when all slots are taken."""
    if running <= 0 or running >= capacity:
        return BAR_WIDTH if running > 0 else 0
    return round(min(BAR_WIDTH - LEAST_WIDTH, max(LEAST_WIDTH, BAR_WIDTH * running / capacity)), 1)


def number(value: int) -> str:
    """A number with the digit groups of the reader's language."""
    return number_format(value, force_grouping=True)


def _between_slots(running: int, capacity: int) -> SafeString:
    if capacity > MAX_SINGLE_SLOTS:
        return SafeString("")
    edges = (
        (round(0.5 + BAR_WIDTH * slot / capacity, 1), "edge inside" if slot < running else "edge")
        for slot in range(1, capacity)
    )
    return format_html_join("", '<line class="{1}" x1="{0}" x2="{0}" y1="2" y2="14"/>', edges)


def _queue(waiting: int, capacity: int) -> SafeString:
    if not waiting:
        return SafeString("")
    length = round(min(QUEUE_WIDTH, max(2 * LEAST_WIDTH, BAR_WIDTH * waiting / capacity)), 1)
    return format_html('<line class="queue" x1="{}" x2="{}" y1="8" y2="8"/>', BAR_WIDTH + 5, BAR_WIDTH + 5 + length)
