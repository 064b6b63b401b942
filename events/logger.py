"""Logger: standard-library logging whose lines carry named facts.

    log = get_logger("events.relay")
    log.warning("relay interrupted", error=repr(error))

A plain formatter writes `relay interrupted error=…`. A formatter for structured logs finds `event` and each fact as
attributes of the record. `log_context` adds which delivery a line belongs to.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

#: What logging itself takes as keywords; everything else is a fact.
STANDARD = ("exc_info", "stack_info", "stacklevel")


class Text:
    """The message for a plain formatter. It is written only if one asks, so no line pays for it, and no value that
    cannot be printed stops the work that logs it."""

    __slots__ = ("_event", "_facts")

    def __init__(self, event: Any, facts: Mapping[str, Any]) -> None:
        self._event, self._facts = event, facts

    def __str__(self) -> str:
        return " ".join([str(self._event), *(f"{name}={value}" for name, value in self._facts.items())])


class FactLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that takes facts as keywords. `event` and the record's own attributes are no names for them."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        standard = {name: kwargs[name] for name in STANDARD if name in kwargs}
        facts = {name: value for name, value in kwargs.items() if name not in STANDARD}
        return Text(msg, facts), standard | {"extra": {"event": msg, **facts}}


def get_logger(name: str) -> FactLogger:
    """The logger of this name."""
    return FactLogger(logging.getLogger(name), {})
