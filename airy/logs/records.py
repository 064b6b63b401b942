"""Records: loggers of structlog hand their lines to standard ones, so that all lines are written in one way."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import structlog

#: The attribute of a record that has the facts of such a line, as one: a record refuses some names, such as `name`.
FACTS = "facts"


def configure_structlog() -> None:
    """Call it once, before the first line is logged."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, as_record],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def as_record(logger: Any, method: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
    """structlog's last step: the arguments for a standard logger."""
    standard = {name: line.pop(name) for name in ("exc_info", "stack_info", "stacklevel") if name in line}
    return {"msg": line.pop("event"), "extra": {FACTS: line}, **standard}


def flattened(logger: Any, method: str, line: dict[str, Any]) -> dict[str, Any]:
    """The facts of structlog's loggers beside all others, for people's eyes."""
    facts: dict[str, Any] = line.pop(FACTS, {})
    return facts | line
