"""Describe: all about one delivery, for programs and for people."""

from __future__ import annotations

import json
from typing import Any

from ..inbox.models import Delivery


def description(delivery: Delivery) -> dict[str, Any]:
    """A delivery with its event, its failed attempts and the bytes it came as (those that are no text escaped)."""
    event = delivery.stored_event
    return {
        "id": delivery.pk,
        "subscriber": delivery.subscriber,
        "run": delivery.run,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "at": delivery.at,
        "reason": delivery.reason,
        "event_id": delivery.event_id,
        "event": event
        and {
            "sequence": event.sequence,
            "topic": event.topic,
            "version": event.version,
            "subject": event.subject,
            "time": event.time,
            "correlation_id": event.correlation_id,
            "causation_id": event.causation_id,
            "data": event.data,
        },
        "failures": [
            {
                "attempt": failure.number,
                "at": failure.at,
                "seconds": round(failure.duration, 6),
                "error": failure.error,
                "traceback": failure.traceback,
            }
            for failure in delivery.failures.order_by("pk")
        ],
        "bytes": None if delivery.body is None else bytes(delivery.body).decode(errors="backslashreplace"),
    }


def text_of(described: dict[str, Any]) -> str:
    """The same as lines to read."""
    event, failures = described["event"], described["failures"]
    lines = [
        f"Dead letter {described['id']}: {described['subscriber']}, run {described['run']}",
        f"Failed at   {described['at']:%Y-%m-%d %H:%M:%S %Z} after {described['attempts']} attempts",
        f"Reason      {described['reason']}",
        f"Event       {described['event_id']}",
    ]
    if event:
        lines += [
            f"            {event['topic']} version {event['version']}, subject {event['subject'] or '-'}",
            f"            number {event['sequence']} in the log, {event['time']:%Y-%m-%d %H:%M:%S %Z}",
            f"            correlation {event['correlation_id']}, cause {event['causation_id'] or '-'}",
            "",
            "Payload",
            json.dumps(event["data"], indent=2, ensure_ascii=False),
        ]
    else:
        lines.append("            not in this event log")
    if described["bytes"] is not None:
        lines += ["", "Bytes", described["bytes"]]
    for failure in failures:
        lines += [
            "",
            f"Attempt {failure['attempt']}, {failure['at']:%Y-%m-%d %H:%M:%S %Z}, {failure['seconds']} s",
            failure["traceback"] or failure["error"],
        ]
    return "\n".join(lines)
