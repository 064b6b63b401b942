"""Gauge: the slots of a task pool drawn as a bar, with the figures beside it."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

#: The figures that are told beside the bar, in this order.
FIGURES = (
    gettext_noop("running"),
    gettext_noop("free"),
    gettext_noop("waiting"),
    gettext_noop("capacity"),
    gettext_noop("threads"),
)
#: The rest of PoolStats: what became of the tasks since the process began.
TOTALS = (
    gettext_noop("submitted"),
    gettext_noop("completed"),
    gettext_noop("failed"),
    gettext_noop("cancelled"),
    gettext_noop("rejected"),
)
#: Width of the bar, and at most of what waits behind it, in the picture's own units.
BAR, QUEUE = 160, 60
#: What is there at all must be seen.
LEAST = 3
#: Up to so many slots are drawn one by one.
SINGLE = 20


def gauge(figures: Mapping[str, int]) -> SafeString:
    """A bar whose filled part are the slots taken and whose stripes behind it are the submitters that wait."""
    if not figures.get("capacity"):
        return SafeString("—")
    running, capacity, waiting = (figures.get(name, 0) for name in ("running", "capacity", "waiting"))
    said = _("%(running)s of %(capacity)s slots in use") % {"running": number(running), "capacity": number(capacity)}
    if waiting:
        said += ", " + ngettext("%s waiting", "%s waiting", waiting) % number(waiting)
    return format_html(
        '<div class="gauge{}"><svg role="img" aria-label="{}" viewBox="0 0 {} 16" width="{}" height="16">'
        '<title>{}</title><rect class="slots" x="0.5" y="1.5" width="{}" height="13"/>{}{}{}</svg> <b>{}</b> {}</div>',
        " full" if running >= capacity else "",
        said,
        BAR + QUEUE + 6,
        BAR + QUEUE + 6,
        said,
        BAR,
        format_html('<rect class="taken" x="0.5" y="1.5" width="{}" height="13"/>', taken_width(running, capacity)),
        _between_slots(running, capacity),
        _queue(waiting, capacity),
        share(running, capacity),
        _("full") if running >= capacity else "",
    )


def told(figures: Mapping[str, int], names: tuple[str, ...] = FIGURES) -> SafeString:
    """Figures in words and numbers."""
    pairs = ((_(name), number(figures[name])) for name in names if name in figures)
    return format_html_join("", '<span class="figure">{} <b>{}</b></span> ', pairs)


def share(part: int, whole: int) -> str:
    """A percentage that says 0% of nothing only, and 100% of all only."""
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "<1%"
    if 99 < percent < 100:
        return ">99%"
    return f"{round(percent)}%"


def taken_width(running: int, capacity: int) -> float:
    """How wide the filled part is: something for one in 10,000, the whole for all alone."""
    if running <= 0 or running >= capacity:
        return BAR if running > 0 else 0
    return round(min(BAR - LEAST, max(LEAST, BAR * running / capacity)), 1)


def number(value: int) -> str:
    """A number as the reader's language groups it."""
    return number_format(value, force_grouping=True)


def _between_slots(running: int, capacity: int) -> SafeString:
    if capacity > SINGLE:
        return SafeString("")
    edges = (
        (round(0.5 + BAR * slot / capacity, 1), "edge inside" if slot < running else "edge")
        for slot in range(1, capacity)
    )
    return format_html_join("", '<line class="{1}" x1="{0}" x2="{0}" y1="2" y2="14"/>', edges)


def _queue(waiting: int, capacity: int) -> SafeString:
    if not waiting:
        return SafeString("")
    length = round(min(QUEUE, max(2 * LEAST, BAR * waiting / capacity)), 1)
    return format_html('<line class="queue" x1="{}" x2="{}" y1="8" y2="8"/>', BAR + 5, BAR + 5 + length)
