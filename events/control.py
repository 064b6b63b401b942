"""Control: what an operator says of a subscription while it runs."""

from __future__ import annotations

from typing import NamedTuple


class Control(NamedTuple):
    """paused: nothing of it is handed out. concurrency: groups of it at once in a worker process, in place of what its
    code says; None: what its code says."""

    paused: bool = False
    concurrency: int | None = None
