"""Management: what RabbitMQ's management API knows of the queues, and AMQP does not say: rates, and messages that a
worker holds."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Collection
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

from ..contract import QueueSize

#: Seconds that the API gets to answer.
TIMEOUT = 5
#: Bytes of an answer, at most: some 100,000 queues.
MOST_BYTES = 50_000_000
_COLUMNS = "name,messages_ready,messages_unacknowledged,consumers,message_stats"


class ManagementError(ConnectionError):
    """The API gave no answer that can be used; the message says why, and what to set."""


def sizes_by_api(url: str, *, user: str, password: str, vhost: str, queues: Collection[str]) -> dict[str, QueueSize]:
    """The sizes and rates of those queues that exist, in one request. Raises ManagementError.

    The server takes its figures every 5 s.
    """
    address = f"{url.rstrip('/')}/api/queues/{quote(vhost, safe='')}?columns={_COLUMNS}"
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(address, headers={"Authorization": f"Basic {token}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            rows = json.loads(answer.read(MOST_BYTES))
        wanted = set(queues)
        return {row["name"]: _size(row) for row in rows if row["name"] in wanted}
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
        raise ManagementError(
            f"RabbitMQ's management API at {url} gives no figures ({error}). Set MQ_API_URL to its address, for "
            "example http://rabbitmq:15672, and let the user in: rabbitmqctl set_user_tags "
            f"{user} monitoring; or leave it out"
        ) from error


def _size(row: dict[str, Any]) -> QueueSize:
    rates = row.get("message_stats", {})
    return QueueSize(
        messages=row["messages_ready"],
        consumers=row["consumers"],
        unacknowledged=row["messages_unacknowledged"],
        published_per_second=rates.get("publish_details", {}).get("rate", 0.0),
        acknowledged_per_second=rates.get("ack_details", {}).get("rate", 0.0),
    )
