"""Loading: rows of a fixture are written as they were saved elsewhere, and emit nothing.

Their events were emitted where they were saved first. Django tells the receivers of its signals by `raw=True`; no
receiver needs to ask for it in order not to emit.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.core.serializers.base import DeserializedObject

#: Whether a row is being loaded in this context.
is_loading: ContextVar[bool] = ContextVar("events_loading", default=False)


@contextmanager
def loading() -> Iterator[None]:
    """Emit nothing inside."""
    token = is_loading.set(True)
    try:
        yield
    finally:
        is_loading.reset(token)


def load_without_events() -> None:
    """Let no row that Django's deserializers save emit an event, nor its relations: `loaddata` and the fixtures of
    tests save in this way. Django calls no method of the model there that could be overridden."""
    save = DeserializedObject.save
    if not hasattr(save, "__wrapped__"):

        @functools.wraps(save)
        def save_without_events(*args: Any, **kwargs: Any) -> None:
            with loading():
                save(*args, **kwargs)

        DeserializedObject.save = save_without_events  # type: ignore[method-assign]
