"""Lines: a record of the log as one JSON object in one line, bounded in size."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from django.http import HttpRequest
from structlog.contextvars import get_contextvars

from airy.logs.masking import MASK, is_secret, masked
from airy.logs.records import FACTS
from airy.logs.request import facts_of, request_facts, route_of
from events.errors import with_traceback
from events.log_context import delivery_facts
from events.tracing import trace_facts

#: Bytes of a line, at most: Docker cuts longer ones into pieces.
LONGEST = 16_000
#: Characters of one text in a line that would be longer than that, tried one after the other.
SHORTER = (8_000, 2_000, 500, 100)
#: Of a list, at most.
MOST_ITEMS = 50
#: What comes first in every line. A fact of such a name is written as "fact_…".
HEAD = ("timestamp", "level", "logger", "event", "pid", "process")
#: What a record has besides facts; `request` is Django's, with a path that may hold a token.
NO_FACTS = {
    *vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message", "request", "event", "delivery",
}  # fmt: skip


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON. It raises nothing: work must not stop because of its log."""

    def format(self, record: logging.LogRecord) -> str:
        """The line. It has what the record and its context tell, but no secret."""
        try:
            return written(self._head(record) | self._facts(record))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the methods of a logged value raise
            return json.dumps(
                {
                    "timestamp": _time(record.created),
                    "level": record.levelname.lower(),
                    "logger": record.name,
                    "event": "a line of the log could not be written",
                    "line": record.lineno,
                    "file": record.filename,
                    "error": type(error).__name__,
                }
            )

    def _head(self, record: logging.LogRecord) -> dict[str, Any]:
        return {
            "timestamp": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
            "pid": record.process,
            "process": record.processName,
        }

    def _facts(self, record: logging.LogRecord) -> dict[str, Any]:
        facts = {name: value for name, value in vars(record).items() if name not in NO_FACTS}
        facts |= facts.pop(FACTS, {})
        facts = {f"fact_{name}" if name in HEAD else name: value for name, value in facts.items()}
        context = request_facts() | get_contextvars() | delivery_facts() | trace_facts()
        if not context and isinstance(request := vars(record).get("request"), HttpRequest):
            context = facts_of(request)
        facts |= {name: value for name, value in context.items() if name not in facts}
        if record.exc_info and record.exc_info[1] is not None:
            facts["exception"] = with_traceback(record.exc_info[1])
        if record.stack_info:
            facts["stack"] = record.stack_info
        return {name: MASK if is_secret(name) else value for name, value in facts.items()}


def _time(seconds: float) -> str:
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((seconds - whole) * 1e6):06d}Z"


def _event(record: logging.LogRecord) -> str:
    """What happened. Django names the path of a request, here it is the route."""
    if (event := vars(record).get("event")) is not None:
        return str(event)
    request, args = vars(record).get("request"), record.args
    if isinstance(request, HttpRequest) and isinstance(args, tuple):
        args = tuple(route_of(request) or "(no route)" if one == request.path else one for one in args)
    try:
        return (str(record.msg) % args if args else str(record.msg)).strip()
    except (TypeError, ValueError):  # the arguments do not fit
        return f"{record.msg} {args!r}"


def written(line: dict[str, Any]) -> str:
    """A line as JSON. Too long a line has its texts and lists cut, and at last only its head."""
    text = _as_json(line)
    for most in SHORTER:
        if len(text) <= LONGEST:
            return text
        text = _as_json({name: _shortened(value, most, end=name == "exception") for name, value in line.items()})
    if len(text) <= LONGEST:
        return text
    return _as_json({name: _shortened(line[name], 500) for name in HEAD} | {"cut": "its facts were too long"})


def _as_json(line: dict[str, Any]) -> str:
    try:
        text = ENCODER.encode(line)
    except (TypeError, ValueError):  # keys that are no texts, circles, numbers that JSON does not have
        text = json.dumps(
            {name: value if type(value) in (str, int) else _printed(value) for name, value in line.items()}
        )
    return masked(text)


def _printed(value: Any) -> str:
    try:
        return str(value)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's code
        return f"({type(value).__name__} that cannot be printed: {type(error).__name__})"


ENCODER = json.JSONEncoder(default=_printed, allow_nan=False)


def _shortened(value: Any, most: int, *, end: bool = False) -> Any:
    """end: keep more of the end than of the beginning."""
    if isinstance(value, list | tuple):
        return [_shortened(one, most) for one in value[:MOST_ITEMS]]
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else _printed(value)
    if len(text) <= most:
        return text
    kept = most // 4 if end else most
    return f"{text[:kept]} … {len(text) - most:,} characters … {text[-(most - kept) :] if end else ''}".rstrip()
