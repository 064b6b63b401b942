"""Pool figures: the figures of this process's task pool."""

from __future__ import annotations

from collections.abc import Callable

from ..figures import Counter, Gauge
from ..pool import get_pool

NOW = {
    "running": "Slots of the task pools held by tasks that run or are ready to start",
    "free": "Slots of the task pools that no task holds",
    "waiting": "Submitters that wait for a slot of a task pool",
    "capacity": "Slots of the task pools in all",
    "threads": "Live threads of the task pools",
}
EVER = {
    "submitted": "Tasks accepted by the task pools",
    "completed": "Tasks of the task pools that ended well",
    "failed": "Tasks of the task pools that failed",
    "cancelled": "Tasks of the task pools that were cancelled",
    "rejected": "Submissions that a full task pool refused",
}


def declare_pool_figures() -> None:
    """Declare them; once, as a process begins."""
    for name, meaning in NOW.items():
        Gauge(f"airy_pool_{name}", meaning, read=_reader(name))
    for name, meaning in EVER.items():
        Counter(f"airy_pool_{name}_total", meaning, read=_reader(name))


def _reader(name: str) -> Callable[[], float]:
    return lambda: float(getattr(get_pool().stats(), name))
