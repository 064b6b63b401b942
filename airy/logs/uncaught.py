"""Uncaught: errors that nobody catches, and warnings, are lines of the log like all others."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import Any

logger = logging.getLogger("airy.uncaught")


def log_uncaught() -> None:
    """From now on write what ends the process or a thread, and what Python warns of, into the log. On a terminal the
    end of the process stays as a person reads it."""
    sys.excepthook = _ended
    threading.excepthook = _thread_ended
    sys.unraisablehook = _ignored
    logging.captureWarnings(True)


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt) or sys.stderr.isatty():
        sys.__excepthook__(kind, error, trace)
    else:
        logger.critical("the process ends by an error", exc_info=(kind, error, trace))


def _thread_ended(hook: threading.ExceptHookArgs) -> None:
    if hook.exc_value is not None and not isinstance(hook.exc_value, SystemExit):
        name = hook.thread.name if hook.thread else ""
        logger.error("a thread ends by an error", exc_info=hook.exc_value, extra={"ended_thread": name})


def _ignored(hook: Any) -> None:
    where = "" if hook.object is None else f"{type(hook.object).__name__} {getattr(hook.object, '__qualname__', '')}"
    logger.error("an error was ignored", exc_info=hook.exc_value, extra={"where": where.strip()})
