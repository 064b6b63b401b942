"""Primary: the tables of events are read from the database that they are written to, whatever a router says of reads.

Inbox, outbox and log are read and written in one transaction. A replica would answer late, and outside of it.
"""

from __future__ import annotations

from typing import TypeVar

from django.db import models, router

M = TypeVar("M", bound=models.Model, covariant=True)


class PrimaryQuerySet(models.QuerySet[M]):
    """A query goes to `router.db_for_write`, unless `using()` names another database."""

    @property
    def db(self) -> str:
        return self._db or router.db_for_write(self.model, **self._hints)  # type: ignore[attr-defined]


class PrimaryModel(models.Model):
    """The base of each table of events: what Django asks by itself (refresh_from_db, foreign keys) goes there, too."""

    objects = PrimaryQuerySet.as_manager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
