"""Watchlist: deliveries without an outcome whose turn has passed. Reconcile watches each until it has its outcome."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..db.dialect import DeliveryKey
from ..db.primary import PrimaryQuerySet

if TYPE_CHECKING:
    from .models import Straggler  # noqa: F401 - in a class header


#: `checked_at` of a row that was never checked: it comes first.
NEVER = dt.datetime.fromtimestamp(0, dt.UTC)


class StragglerQuerySet(PrimaryQuerySet["Straggler"]):
    """The watchlist."""

    def watch(
        self,
        keys: Iterable[DeliveryKey],
        *,
        after: int,
        now: dt.datetime,
        owed_since: Mapping[uuid.UUID, dt.datetime] | None = None,
    ) -> None:
        """Watch deliveries that are in the outbox or under way now.

        after: the end of the log. owed_since: for each event, from when on it is owed, for rows that are new. Without,
        all of them are owed from now on: somebody asked for them.
        """
        self.bulk_create(
            [
                self.model(
                    **key._asdict(),
                    after=after,
                    owed_at=now,
                    owed_since=owed_since[key.event_id] if owed_since else now,
                    checked_at=NEVER,
                )
                for key in keys
            ],
            batch_size=500,
            update_conflicts=True,
            unique_fields=["event_id", "subscriber", "run"],
            update_fields=["after", "owed_at", "checked_at", *(() if owed_since else ("owed_since",))],
        )
