"""Set up: what the settings say of the log, and how it is put in place of what uvicorn and Django began with."""

from __future__ import annotations

import logging
import logging.config
from typing import Any

import structlog

from airy.logs.records import flattened
from airy.logs.uncaught import log_uncaught

#: Loggers that have handlers of their own, uvicorn's from before it loads the application. These go.
TAKEN_OVER = ("django", "django.server", "uvicorn", "uvicorn.asgi")


class NoAccessLines(logging.Filter):
    """Leaves out what uvicorn says of each websocket, with its path and query string."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith('%s - "WebSocket %s"')


def logging_settings(*, debug: bool, level: str) -> dict[str, Any]:
    """LOGGING: to stderr, as JSON, or under DEBUG for a person's eyes."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper("iso"),
        structlog.stdlib.ExtraAdder(),
        flattened,
    ]
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)  # without variables
    for_people = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, console],
        "foreign_pre_chain": shared,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"no_access_lines": {"()": "airy.logs.set_up.NoAccessLines"}},
        "formatters": {"lines": for_people if debug else {"()": "airy.logs.lines.JsonLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "pika": {"level": "CRITICAL"},
            "dramatiq": {"level": "WARNING"},
            **{name: {"handlers": [], "propagate": True, "level": "NOTSET"} for name in TAKEN_OVER},
            "uvicorn.error": {
                "handlers": [],
                "propagate": True,
                # At DEBUG it writes the headers of each handshake, with their cookies.
                "level": "INFO" if level == "DEBUG" else level,
                "filters": ["no_access_lines"],
            },
            # A proxy writes them, with the status; Airy's metrics have routes and seconds.
            "uvicorn.access": {"handlers": [], "propagate": False, "level": "CRITICAL"},
        },
    }


def set_up(config: dict[str, Any]) -> None:
    """LOGGING_CONFIG outside of DEBUG: Django calls it as it starts, after uvicorn has set up its own."""
    logging.config.dictConfig(config)
    log_uncaught()
