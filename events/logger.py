"""Logger: standard-library logging whose lines carry named facts.

    log = get_logger("events.relay")
    log.warning("relay interrupted", error=repr(error))

A plain formatter writes `relay interrupted error=…`. A formatter for structured logs finds `event` and each fact as
attributes of the record.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

#: What logging itself takes as keywords; everything else is a fact.
STANDARD = ("exc_info", "stack_info", "stacklevel")


class FactLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that takes facts as keywords. `event` and the record's own attributes are no names for them."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        standard = {name: kwargs[name] for name in STANDARD if name in kwargs}
        facts = {name: value for name, value in kwargs.items() if name not in STANDARD}
        text = " ".join([str(msg), *(f"{name}={value}" for name, value in facts.items())])
        return text, standard | {"extra": {"event": msg, **facts}}


def get_logger(name: str) -> FactLogger:
    """The logger of this name."""
    return FactLogger(logging.getLogger(name), {})
