"""EventSource: a model mixin whose save() and delete() commit the row and its events together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Self

from django.db import models, router

from .db.commit import committed
from .loading import loading

#: The model whose row is being saved or deleted in this context, and the database that it is written to.
changing: ContextVar[tuple[str, str] | None] = ContextVar("events_changing", default=None)


class EventSource:
    """Put first among a model's bases: `class Post(EventSource, models.Model)`.

    save() and delete() run in one transaction with the events that their signal receivers emit, also in autocommit, in
    the shell and in the admin. `previous` is the row before the change. It is read again under the row's lock: when two
    stale instances are saved at the same time, the second sees what the first wrote. It is None for a new row, and in
    delete() for a row that is already deleted.

    Its table must be in the database of the events, or they could not commit together: emit() refuses it, and a system
    check names it.

    A row that is saved with raw=True, as `loaddata` does, emits nothing, whatever its receivers do.
    """

    previous: Self | None = None

    def save(self, *args: Any, using: str | None = None, **kwargs: Any) -> None:
        assert isinstance(self, models.Model)
        using = using or router.db_for_write(type(self), instance=self)
        with committed(using=using), _changing(type(self), using):
            self.previous = None if self._state.adding and self.pk is None else self._locked_row(using)  # type: ignore[assignment]
            super().save(*args, using=using, **kwargs)  # type: ignore[misc]

    def save_base(self, raw: bool = False, *args: Any, **kwargs: Any) -> None:
        with loading() if raw else nullcontext():
            super().save_base(raw, *args, **kwargs)  # type: ignore[misc]

    def delete(self, using: str | None = None, keep_parents: bool = False) -> Any:
        assert isinstance(self, models.Model)
        using = using or router.db_for_write(type(self), instance=self)
        with committed(using=using), _changing(type(self), using):
            self.previous = self._locked_row(using)  # type: ignore[assignment]
            return super().delete(using=using, keep_parents=keep_parents)  # type: ignore[misc]

    def _locked_row(self, using: str) -> Self | None:
        assert isinstance(self, models.Model)
        rows = type(self)._base_manager.using(using).filter(pk=self.pk)
        return rows.select_for_update(no_key=True).first()


@contextmanager
def _changing(model: type, using: str) -> Iterator[None]:
    token = changing.set((model.__name__, using))
    try:
        yield
    finally:
        changing.reset(token)
