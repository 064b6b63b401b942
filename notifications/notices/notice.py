"""Notice: one message for one user, before it is written."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Mode(enum.Enum):
    """What `notify` does with a notice.

    NOTIFY: write it; the user is notified. SILENT: store it withdrawn, so that its subject never notifies this user.
    UPDATE_ONLY: change the notice that exists, without notifying; write no new one.
    """

    NOTIFY = enum.auto()
    SILENT = enum.auto()
    UPDATE_ONLY = enum.auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """A notice to one user, usually made by `Kind.notices`.

    kind: the name of a declared kind. key: its subject; a user has one notice per key. data: as the kind declares it.
    actor_id: the user who caused it, if one did; None also where the data leaves out silenced people already.
    """

    user_id: int
    kind: str
    key: str
    data: Mapping[str, Any]
    actor_id: int | None = None
    mode: Mode = Mode.NOTIFY
