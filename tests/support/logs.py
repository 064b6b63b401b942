"""Logs: what the loggers of events write inside a block."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Lines(logging.Handler):
    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__()
        self._lines = lines
        self._standard = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}

    def emit(self, record: logging.LogRecord) -> None:
        facts = {name: value for name, value in vars(record).items() if name not in self._standard}
        facts |= facts.pop("facts", {})  # of a logger of structlog
        self._lines.append({"event": record.msg, "log_level": record.levelname.lower()} | facts)


@contextmanager
def captured_logs(name: str = "events", *, level: int = logging.DEBUG) -> Iterator[list[dict[str, Any]]]:
    """The lines of a logger and of those below it, of this level or above: `event`, `log_level` and each fact."""
    lines: list[dict[str, Any]] = []
    logger, handler = logging.getLogger(name), _Lines(lines)
    below = [one for one in logging.root.manager.loggerDict if one.startswith(f"{name}.")]
    levels = {one: logging.getLogger(one).level for one in (name, *below)}
    logger.addHandler(handler)
    for one in levels:
        logging.getLogger(one).setLevel(level)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        for one, before in levels.items():
            logging.getLogger(one).setLevel(before)
