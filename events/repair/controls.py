"""Controls: what operators say of a subscription while it runs: pause, resume, how many groups at once.

They stand in the row of the subscription, so they hold over restarts and for every worker. Workers read them every
few seconds (`worker/controls.py`).
"""

from __future__ import annotations

from difflib import get_close_matches

from django.db import router
from django.db.models import Q
from django.utils import timezone

from ..control import Control
from ..db.commit import committed
from ..logger import get_logger
from .models import Subscription

log = get_logger("events.controls")

#: Groups at once in a worker process, at most.
CONCURRENCY_AT_MOST = 10_000


class ControlRefusedError(ValueError):
    """A subscription cannot be controlled so; the message says why, and what to do."""


def controls() -> dict[str, Control]:
    """What is said of each subscription that something is said of."""
    said = Subscription.objects.filter(Q(paused_at__isnull=False) | Q(concurrency__isnull=False))
    return {
        name: Control(paused=paused_at is not None, concurrency=concurrency)
        for name, paused_at, concurrency in said.values_list("name", "paused_at", "concurrency")
    }


def pause(name: str, *, by: str, reason: str = "") -> None:
    """Let every worker hand out no more of a subscription. What runs ends; what waits stays in its queue, and new
    events join it. One that is paused already keeps its time, and gets this reason.

    by: who says so. Raises ControlRefusedError if there is no such subscription.
    """
    with committed(using=router.db_for_write(Subscription)):
        row = _locked(name)
        row.paused_at = row.paused_at or timezone.now()
        row.paused_by, row.pause_reason = by[:200], reason[:500]
        row.save(update_fields=["paused_at", "paused_by", "pause_reason"])
    log.warning("paused", subscriber=name, by=by, reason=reason)


def resume(name: str, *, by: str) -> bool:
    """End a pause; False if there was none. Raises ControlRefusedError if there is no such subscription."""
    with committed(using=router.db_for_write(Subscription)):
        row = _locked(name)
        if row.paused_at is None:
            return False
        row.paused_at, row.paused_by, row.pause_reason = None, "", ""
        row.save(update_fields=["paused_at", "paused_by", "pause_reason"])
    log.warning("resumed", subscriber=name, by=by)
    return True


def set_concurrency(name: str, groups: int | None, *, by: str) -> None:
    """Let each worker process run so many groups of a subscription at once, at most; None: as its code says.

    Raises ControlRefusedError for fewer than 1, for more than CONCURRENCY_AT_MOST, and if there is no such
    subscription.
    """
    if groups is not None and not 1 <= groups <= CONCURRENCY_AT_MOST:
        raise ControlRefusedError(
            f"concurrency must be from 1 to {CONCURRENCY_AT_MOST:,}; it is {groups:,}. To let nothing run, pause it"
        )
    with committed(using=router.db_for_write(Subscription)):
        row = _locked(name)
        row.concurrency = groups
        row.save(update_fields=["concurrency"])
    log.warning("concurrency set", subscriber=name, by=by, concurrency=groups)


def _locked(name: str) -> Subscription:
    row = Subscription.objects.select_for_update().filter(name=name).first()
    if row is None:
        names = list(Subscription.objects.order_by("name").values_list("name", flat=True))
        close = get_close_matches(name, names, n=3)
        known = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(names) or 'none'}."
        raise ControlRefusedError(f"No subscription is named {name!r}: {known}")
    return row
